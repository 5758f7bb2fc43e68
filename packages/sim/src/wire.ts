/**
 * The lines between machines: how long they take, what they lose, and where they are cut.
 *
 * @module
 */
import type { Random } from './random.ts'

/** One direction between two machines. */
export interface Line {
  /** Microseconds that a message takes at least. */
  readonly latency: number
  /** And up to so many more. */
  readonly jitter: number
  /** Bytes a microsecond. */
  readonly bandwidth: number
  blocked: boolean
}

export interface Weather {
  /** Of gossip: lost, said twice, much later than the next one. */
  loss: number
  duplication: number
  reordering: number
  /** That a connection breaks under a message; on either side what was sent may have come or not. */
  breaks: number
  /** That the first message of a channel comes again on a channel of its own. */
  ghosts: number
}

export interface Lines {
  of(from: number, to: number): Line
  block(from: number, to: number, blocked: boolean): void
  /** Both directions are open. */
  open(a: number, b: number): boolean
  onchange(listener: (from: number, to: number, blocked: boolean) => void): void
  mendAll(): void
}

export const calm = (): Weather => ({ loss: 0, duplication: 0, reordering: 0, breaks: 0, ghosts: 0 })

/** @param slow that a line is one of kilobytes a second */
export const createLines = (random: Random, slow: number): Lines => {
  const lines = new Map<number, Line>()
  const listeners: ((from: number, to: number, blocked: boolean) => void)[] = []
  const key = (from: number, to: number): number => from * 1024 + to
  const of = (from: number, to: number): Line => {
    const known = lines.get(key(from, to))
    if (known !== undefined) return known
    const [least, most] = [Math.min(from, to), Math.max(from, to)]
    const own = random.fork(`line ${least} ${most}`)
    const latency = own.scaled(100, 80_000)
    const bandwidth = own.chance(slow) ? own.scaled(0.005, 0.1) : own.scaled(1, 100)
    const line: Line = { latency, jitter: latency * own.between(0, 0.5), bandwidth, blocked: false }
    lines.set(key(from, to), line)
    return line
  }
  const block = (from: number, to: number, blocked: boolean): void => {
    const line = of(from, to)
    if (line.blocked === blocked) return
    line.blocked = blocked
    for (const listener of listeners) listener(from, to, blocked)
  }
  return {
    of,
    block,
    open: (a, b) => !of(a, b).blocked && !of(b, a).blocked,
    onchange: (listener) => listeners.push(listener),
    mendAll: () => {
      for (const known of [...lines.keys()]) block(Math.floor(known / 1024), known % 1024, false)
    },
  }
}
