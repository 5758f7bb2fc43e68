/**
 * What an agent shows: its last log lines and its view, as far as they are committed.
 *
 * @module
 */
import type { AgentEvent, View } from '../api.ts'
import type { JobResult } from '../worker/protocol.ts'

/** Log lines kept for whoever looks later. */
const LOG_LINES = 200

export interface LogLine {
  readonly tick: number
  readonly time: number
  readonly text: string
}

export interface Output {
  readonly logs: readonly LogLine[]
  readonly view: (View & { readonly tick: number }) | undefined
  /** @param time of the ticks, Unix ns @param next tick that failed, if one did */
  show(result: JobResult, time: bigint, next: number): void
}

/** Whether anyone could see something of it. */
export const hasOutput = ({ logs, view, trap }: JobResult): boolean => logs.length > 0 || view !== undefined || trap !== undefined

export const createOutput = (onevent: (event: AgentEvent) => void): Output => {
  const logs: LogLine[] = []
  let view: (View & { tick: number }) | undefined
  return {
    logs,
    get view() {
      return view
    },
    show: (result, time, next) => {
      const at = Number(time / 1_000_000n)
      const lines = result.logs.map((line): LogLine => ({ ...line, time: at }))
      if (result.trap !== undefined) lines.push({ tick: next, time: at, text: `tick failed and was undone: ${result.trap}` })
      logs.push(...lines)
      logs.splice(0, Math.max(0, logs.length - LOG_LINES))
      for (const line of lines) onevent({ type: 'log', ...line })
      if (result.view !== undefined) {
        view = result.view
        const { tick, ...frame } = result.view
        onevent({ type: 'view', tick, view: frame })
      }
    },
  }
}
