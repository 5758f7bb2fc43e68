// What made-up agents show and say, one tick after the other.
import type { View } from '../src/api.ts'

export interface Mind {
  readonly capabilities: readonly string[]
  readonly intervalMs: number
  tick(tick: number, inbox: string[]): { readonly log?: string; readonly view?: View }
}

const text = (value: string): View => ({ kind: 'text', bytes: new TextEncoder().encode(value), width: 0, height: 0 })

const heartbeat = (): Mind => ({
  capabilities: ['clock', 'log', 'view'],
  intervalMs: 1000,
  tick: (tick) => ({
    ...(tick % 10 === 0 ? { log: `${tick} beats, and counting` } : {}),
    view: text(`${tick} beats, ${Math.floor(tick / 60)} min ${tick % 60} s old`),
  }),
})

const watcher = (): Mind => ({
  capabilities: ['clock', 'log', 'view', 'inbox'],
  intervalMs: 1000,
  tick(tick, inbox) {
    const price = 100 + 9 * Math.sin(tick / 7) + 3 * Math.sin(tick / 2.3)
    const order = inbox[0]
    return {
      ...(order === undefined
        ? tick % 12 === 0
          ? { log: `crossed 100.00 at slot ${tick}` }
          : {}
        : { log: `threshold is ${order} now` }),
      view: text(`price ${price.toFixed(2)}  ${price > 100 ? '▲ above' : '▼ below'} 100.00`),
    }
  },
})

const life = (seed: number): Mind => {
  const side = 64
  let cells = Uint8Array.from({ length: side * side }, (_, i) => ((Math.imul(i + seed, 2654435761) >>> 13) % 4 === 0 ? 1 : 0))
  const at = (x: number, y: number): number => cells[((y + side) % side) * side + ((x + side) % side)] ?? 0
  return {
    capabilities: ['rand', 'log', 'view', 'inbox'],
    intervalMs: 200,
    tick(tick, inbox) {
      const next = new Uint8Array(side * side)
      const bytes = new Uint8Array(side * side * 4)
      for (let y = 0; y < side; y++) {
        for (let x = 0; x < side; x++) {
          let n = 0
          for (let dy = -1; dy <= 1; dy++) for (let dx = -1; dx <= 1; dx++) if (dx !== 0 || dy !== 0) n += at(x + dx, y + dy)
          const alive = n === 3 || (n === 2 && at(x, y) === 1) ? 1 : 0
          next[y * side + x] = alive
          bytes.set(alive ? [120, 230, 200, 255] : [14, 26, 34, 255], (y * side + x) * 4)
        }
      }
      cells = next
      return {
        ...(inbox.length > 0 ? { log: `toggled: ${inbox.join(', ')}` } : tick % 50 === 0 ? { log: `generation ${tick}` } : {}),
        view: { kind: 'rgba', bytes, width: side, height: side },
      }
    },
  }
}

const companion = (): Mind => {
  let mood = 'waiting for a word from you'
  return {
    capabilities: ['clock', 'rand', 'log', 'view', 'inbox'],
    intervalMs: 1000,
    tick(tick, inbox) {
      const heard = inbox.at(-1)
      if (heard !== undefined) mood = 'curious'
      const eye = tick % 7 === 0 ? '-' : '•'
      return {
        ...(heard !== undefined
          ? { log: `noted: ${heard}` }
          : tick % 15 === 1
            ? { log: 'hello! I am new here. Write to me.' }
            : {}),
        view: text(`ʕ${eye}ᴥ${eye}ʔ\n${mood}\ntick ${tick}, ${Math.floor(tick / 60)} min ${tick % 60} s old`),
      }
    },
  }
}

const silent = (): Mind => ({ capabilities: [], intervalMs: 1000, tick: () => ({}) })

export const MINDS = { heartbeat, watcher, life: () => life(7), companion, silent } as const
export type MindName = keyof typeof MINDS
