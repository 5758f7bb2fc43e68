/**
 * An agent on a terminal: its state, what it shows, the end of its log, drawn in place.
 *
 * @module
 */
import type { AgentEvent, AgentStatus, View } from '@igor/core'
import { milliseconds, STATE_STYLES, short, span } from './format.ts'
import { type Io, type Output, safe } from './output.ts'

export interface Screen extends Disposable {
  take(event: AgentEvent): void
}

const LOG_LINES = 8
/** Lines besides picture and log: status, blank lines. */
const OTHER_LINES = 4
const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24
/** Terminals draw no faster than this to good use. */
const FRAME_MS = 50
const ESC = '\u001b['

export function createScreen(io: Io, output: Output): Screen {
  let status: AgentStatus | undefined
  let view: View | undefined
  let note = ''
  const logs: string[] = []
  let timer: NodeJS.Timeout | undefined

  const draw = (): void => {
    timer = undefined
    const columns = io.stdout.columns ?? DEFAULT_COLUMNS
    const rows = io.stdout.rows ?? DEFAULT_ROWS
    const lines: string[] = status === undefined ? [] : [heading(status, output), '']
    if (view !== undefined) lines.push(...picture(view, columns, rows - LOG_LINES - OTHER_LINES), '')
    if (note !== '') lines.push(note)
    lines.push(...logs.map((line) => [...line].slice(0, columns).join('')))
    // Home, each line cleared to its end, then whatever was below.
    io.stdout.write(`${ESC}H${lines.map((line) => `${line}${ESC}0m${ESC}K`).join('\n')}\n${ESC}J`)
  }

  io.stdout.write(`${ESC}?1049h${ESC}?25l`)
  return {
    take(event) {
      if (event.type === 'status') status = event.status
      else if (event.type === 'view') view = event.view
      else if (event.type === 'progress') note = `moving: ${event.phase} ${event.done} of ${event.total}`
      else if (event.type === 'moved') {
        const { from, to, tick, downtimeMs } = event.move
        note = `moved from ${short(from)} to ${short(to)} at tick ${tick} in ${milliseconds(downtimeMs)}`
      } else {
        logs.push(`${String(event.tick).padStart(6)}  ${safe(event.text)}`)
        if (logs.length > LOG_LINES) logs.shift()
      }
      timer ??= setTimeout(draw, FRAME_MS)
    },
    [Symbol.dispose]() {
      clearTimeout(timer)
      io.stdout.write(`${ESC}?25h${ESC}?1049l`)
    },
  }
}

function heading(status: AgentStatus, output: Output): string {
  const age = status.born === undefined ? '' : `, ${span(Date.now() - status.born)} old`
  const state = output.paint(STATE_STYLES[status.state], status.state)
  return `${output.paint('bold', safe(status.name))}  ${state}  tick ${status.tick}${age}, on ${status.here ? 'this node' : short(status.host)}`
}

function picture(view: View, columns: number, rows: number): string[] {
  if (view.kind === 'text') return safe(Buffer.from(view.bytes).toString('utf8'), true).split('\n').slice(0, Math.max(rows, 1))
  return halfBlocks(view, columns, Math.max(rows, 1))
}

/** Two pixels a character, one above the other, scaled down to whole pixels that fit. */
function halfBlocks(view: View, columns: number, rows: number): string[] {
  const step = Math.max(1, Math.ceil(view.width / columns), Math.ceil(view.height / 2 / rows))
  const at = (x: number, y: number): string => {
    const from = (y * view.width + x) * 4
    return `${view.bytes[from] ?? 0};${view.bytes[from + 1] ?? 0};${view.bytes[from + 2] ?? 0}`
  }
  const lines: string[] = []
  for (let y = 0; y < view.height; y += 2 * step) {
    let line = ''
    for (let x = 0; x < view.width; x += step) {
      line += `${ESC}38;2;${at(x, y)};48;2;${y + step < view.height ? at(x, y + step) : '0;0;0'}m▀`
    }
    lines.push(line)
  }
  return lines
}
