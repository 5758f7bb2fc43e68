/**
 * What happened, as a fingerprint always and as text when asked for.
 *
 * @module
 */

export interface Trace {
  /** Two runs with the same events in the same order have the same one. */
  readonly hash: string
  readonly lines: readonly string[]
  /** Numbers and bytes that make up the event; the text is made only when it is kept. */
  note(at: number, kind: number, machine: number, detail: Uint8Array | string | number, text?: () => string): void
}

/** Two lanes of FNV-1a over 32-bit words: not secure, but no two runs differ and agree in it by chance. */
export const createTrace = (keep: boolean): Trace => {
  let a = 0x811c9dc5
  let b = 0xc9dc5118
  const lines: string[] = []
  const mix = (word: number): void => {
    a = Math.imul(a ^ word, 0x01000193)
    b = Math.imul(b ^ (word + 0x9e3779b9), 0x85ebca6b)
    b ^= b >>> 13
  }
  return {
    get hash() {
      const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0')
      return hex(a) + hex(b)
    },
    lines,
    note: (at, kind, machine, detail, text) => {
      mix(at | 0)
      mix((at / 2 ** 32) | 0)
      mix((kind << 8) | (machine & 0xff))
      if (typeof detail === 'number') mix(detail | 0)
      else if (typeof detail === 'string') for (let i = 0; i < detail.length; i++) mix(detail.charCodeAt(i))
      else for (const byte of detail) mix(byte)
      if (!keep || text === undefined) return
      const seconds = (at / 1e6).toFixed(6).padStart(13)
      lines.push(`${seconds}  ${machine < 0 ? '      ' : `node ${machine}`.padEnd(7)}  ${text()}`)
    },
  }
}

/** Kinds of events in a trace. */
export const SENT = 1
export const CAME = 2
export const WROTE = 3
export const SYNCED = 4
export const TICKED = 5
export const DID = 6
export const FAULT = 7
export const GOSSIP = 8
export const TOLD = 9
