/**
 * Which of an agent's blocks are still named by something: counts per block, so that a commit that
 * changed one chunk of 4096 costs one chunk.
 *
 * @module
 */
import { chunkEntries, type StateBlock } from '@igor/lineage'

const DIGEST_BYTES = 32

/** Looked up rather than formatted: a commit of 16 MiB names 4096 digests. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

export const hexOf = (bytes: Uint8Array): string => {
  let text = ''
  for (const byte of bytes) text += HEX[byte]
  return text
}

export interface BlockRefs {
  add(digest: string): void
  /** Forgets one use; the block may go when nothing else uses it and no copy is being pulled. */
  release(digest: string): void
  has(digest: string): boolean
  /** Digests that may be removed from the store now; forgets them. */
  takeGarbage(): string[]
  readonly pinned: boolean
  /** While pinned, nothing is garbage: somebody is pulling an older state. */
  pin(): () => void
}

export const createBlockRefs = (): BlockRefs => {
  const counts = new Map<string, number>()
  const garbage = new Set<string>()
  let pins = 0
  return {
    add: (digest) => {
      counts.set(digest, (counts.get(digest) ?? 0) + 1)
      garbage.delete(digest)
    },
    release: (digest) => {
      const count = counts.get(digest) ?? 0
      if (count > 1) counts.set(digest, count - 1)
      else {
        counts.delete(digest)
        garbage.add(digest)
      }
    },
    has: (digest) => counts.has(digest),
    takeGarbage: () => {
      if (pins > 0) return []
      const gone = [...garbage]
      garbage.clear()
      return gone
    },
    get pinned() {
      return pins > 0
    },
    pin: () => {
      pins++
      let held = true
      return () => {
        if (held) pins--
        held = false
      }
    },
  }
}

/** Digests (hex) of the chunks of a state, one per chunk: the same digest may come twice. */
export function* chunkDigests(state: StateBlock): Iterable<string> {
  for (const [, digest] of chunkEntries(state)) yield hexOf(digest)
}

/** Digest of one chunk, if it is not zero. */
export const digestAt = (state: StateBlock, index: number): Uint8Array | undefined => {
  const { runs } = state.memory
  let low = 0
  let high = runs.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const run = runs[middle]
    if (run === undefined) return undefined
    const [start, digests] = run
    if (index < start) high = middle - 1
    else if (index >= start + digests.length / DIGEST_BYTES) low = middle + 1
    else return digests.subarray((index - start) * DIGEST_BYTES, (index - start + 1) * DIGEST_BYTES)
  }
  return undefined
}
