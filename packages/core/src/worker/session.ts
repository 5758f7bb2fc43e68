/**
 * What the ticks of one job may see and what they leave behind, apart from memory and globals.
 *
 * @module
 */
import type { View } from '../api.ts'
import { draftKv, type Kv, type KvDraft } from './kv.ts'
import type { Attempt } from './protocol.ts'
import { randomStream, type Sha256, tickSeed } from './seed.ts'

/** Bytes of one line, as the agent's interface says. */
export const MAX_LINE = 4096
/** Lines that one tick may write; the rest is counted. */
export const MAX_LINES = 100
/** A job ends after the tick that fills this (no tick's own lines are lost by it). */
export const MAX_JOB_LOG = 256 * 1024
/** An empty line costs too. */
const LINE_COST = 64
/** What a failed tick wrote last is enough to find out why. */
const LAST_WORDS = 20

export interface LogLine {
  readonly tick: number
  readonly text: string
}

export interface Session {
  readonly init: Uint8Array
  /** Unix ns. */
  readonly time: bigint
  /** What the attempt's header says of money. */
  readonly terms: Pick<Attempt, 'price' | 'balance' | 'receipts'>
  readonly kv: KvDraft
  /** The next message, without taking it. */
  peek(): Uint8Array | undefined
  take(): void
  random(out: Uint8Array): void
  /** One line: UTF-8, cut at `MAX_LINE` bytes. */
  log(bytes: Uint8Array): void
  show(view: View): void
  /** The line that a program writes to its standard output, until it ends. */
  readonly output: { bytes: Uint8Array; length: number }
  /** How often the program of this tick waited for time to pass. */
  readonly patience: { waits: number }
  begin(tick: number): void
  end(): void
  /** What is left behind; valid after `end`. */
  readonly logs: readonly LogLine[]
  logBytes(): number
  taken(): number
  view(): (View & { readonly tick: number }) | undefined
  lastWords(): readonly string[]
}

/** A line cut within a character ends before it: only then is the decoder told that more might follow. */
const decodeLine = (bytes: Uint8Array): string => {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return bytes.length > MAX_LINE ? decoder.decode(bytes.subarray(0, MAX_LINE), { stream: true }) : decoder.decode(bytes)
}

export const createSession = (attempt: Attempt, init: Uint8Array, kv: Kv, sha256: Sha256): Session => {
  let tick = attempt.tick
  let stream: ((out: Uint8Array) => void) | undefined
  let taken = 0
  let lines = 0
  let logBytes = 0
  let view: (View & { tick: number }) | undefined
  const logs: LogLine[] = []
  const output = { bytes: new Uint8Array(0), length: 0 }
  const patience = { waits: 0 }

  const log = (bytes: Uint8Array): void => {
    if (++lines > MAX_LINES) return
    logBytes += LINE_COST + Math.min(bytes.length, MAX_LINE)
    logs.push({ tick, text: decodeLine(bytes) })
  }
  const flushOutput = (): void => {
    if (output.length > 0) log(output.bytes.subarray(0, output.length))
    output.length = 0
  }
  return {
    init,
    time: attempt.time,
    terms: attempt,
    kv: draftKv(kv),
    peek: () => attempt.messages[taken],
    take: () => void taken++,
    random: (out) => {
      stream ??= randomStream(tickSeed(sha256, attempt.root, tick))
      stream(out)
    },
    log,
    show: (shown) => {
      view = { ...shown, tick }
    },
    output,
    patience,
    begin: (next) => {
      tick = next
      patience.waits = 0
      stream = undefined
      lines = 0
    },
    end: () => {
      flushOutput()
      if (lines > MAX_LINES) logs.push({ tick, text: `(${lines - MAX_LINES} more lines of this tick were left out)` })
    },
    logs,
    logBytes: () => logBytes,
    taken: () => taken,
    view: () => view,
    lastWords: () => {
      flushOutput()
      return logs
        .filter((line) => line.tick === tick)
        .slice(-LAST_WORDS)
        .map((line) => line.text)
    },
  }
}
