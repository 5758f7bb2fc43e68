/**
 * What whoever watches an agent that lives here is told: where it stands now, and then what is new.
 *
 * @module
 */
import type { AgentEvent, AgentStatus } from '../api.ts'
import type { Emitter } from './emitter.ts'
import type { Residents } from './residents.ts'

export interface Watched {
  readonly residents: Residents
  readonly changes: Emitter<void>
  readonly status: (agent: string) => AgentStatus | undefined
}

/** @returns ends it */
export const listenTo = (
  { residents, changes, status: statusOf }: Watched,
  agent: string,
  listener: (event: AgentEvent) => void,
): (() => void) => {
  const off = residents.events(agent).on(listener)
  let last = ''
  const tellStatus = (): void => {
    const status = statusOf(agent)
    if (status === undefined) return
    // Others' ticks change the node too: only what is news of this agent goes to whoever watches it.
    const { head, state, host, inbox, reason, owned } = status
    const news = JSON.stringify([head, state, host, inbox, reason, owned])
    if (news === last) return
    last = news
    listener({ type: 'status', status })
  }
  const hosted = residents.hosted(agent)
  tellStatus()
  for (const line of hosted?.logs ?? []) listener({ type: 'log', ...line })
  if (hosted?.view !== undefined) {
    const { tick, ...view } = hosted.view
    listener({ type: 'view', tick, view })
  }
  const offchange = changes.on(tellStatus)
  return () => {
    off()
    offchange()
  }
}
