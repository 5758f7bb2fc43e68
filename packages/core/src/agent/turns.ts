/**
 * Journals of many agents in one write. What agents journaled in the same turn of this node goes to the store as one row,
 * whoever's it is: ten thousand that tick once a second would else have ten thousand rows a second checked, written and
 * indexed. An agent that has said enough in such rows gets a row of its own, and a turn's row goes when nobody needs it.
 *
 * @module
 */
import { ConflictError, IgorError, StoreDamagedError, StoreFullError } from '../errors.ts'
import { keys } from '../keys.ts'
import type { Expectation, Store } from '../platform.ts'
import { joinBytes } from '../store/bytes.ts'
import type { Place, Staged, Tail } from './journal.ts'
import { decodePieces, encodePiece, type Piece } from './pieces.ts'

/** Agents in one row: keeps it below the largest value of a store. */
const MAX_PIECES = 2048
/** Rows that may stand before the agents in the oldest one get rows of their own … */
const MAX_ROWS = 4096
/** … and their bytes: they are read whole at a start. */
const MAX_BYTES = 32 * 1024 * 1024
/** Agents that get such rows in one write. */
const MAX_FOLDS = 64

/** Whose journal it is. */
export interface Author {
  readonly agent: string
  /** Of the record that its open segment follows on. */
  readonly place: Place
  /** It is still this node's, and that record its last. */
  expect(): Expectation
  /** Rows of its own that take over what turns' rows say of it. */
  fold(tail?: Tail): Staged
}

/** What a turn's row said of an agent when the store was opened. */
export interface Found extends Piece {
  /** The row may be out of date: the store was damaged. */
  readonly doubtful: boolean
  /** A later row cannot be read: more of the agent may have been in it. */
  readonly followed: boolean
}

export interface Turns {
  /** Pieces of an agent, oldest first; and whether some may be missing after the last, or in place of all. */
  found(agent: string): { readonly pieces: readonly Found[]; readonly lossy: boolean }
  /** What was found is in rows of the agents' own now. */
  begin(): Promise<void>
  /**
   * Resolves when it is durable, and counts; agents that come at the same time share a row.
   * @throws ConflictError when the agent is not this node's any more, and what the store throws
   */
  write(author: Author, tail: Tail): Promise<void>
  /** A record took over what it said: nothing of it is needed. */
  forget(author: Author): void
}

export interface TurnsOptions {
  /** Rows that may stand before the agents in the oldest one get rows of their own. Default 4096. */
  readonly maxRows?: number
}

interface Waiting {
  readonly author: Author
  readonly tail: Tail
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** A row that stands in the store, and the authors whose oldest piece is in it. */
interface TurnRow {
  readonly key: string
  readonly bytes: number
  readonly authors: Set<Author>
}

const readRow = async (store: Store, key: string): Promise<{ pieces: readonly Piece[]; doubtful: boolean } | undefined> => {
  try {
    const bytes = await store.get(key)
    return bytes === undefined ? undefined : { pieces: decodePieces(bytes), doubtful: false }
  } catch (error) {
    if (!(error instanceof StoreDamagedError)) throw error
    return error.older === undefined ? undefined : { pieces: decodePieces(error.older), doubtful: true }
  }
}

/** @param slot which of the store's nodes this is @throws IgorError STORE_DAMAGED for a row of another format */
export const openTurns = async (store: Store, slot: string, { maxRows = MAX_ROWS }: TurnsOptions = {}): Promise<Turns> => {
  const old = await store.list(keys.turns(slot))
  const found = new Map<string, Found[]>()
  let unread = -1
  for (const [n, key] of old.entries()) {
    const row = await readRow(store, key)
    if (row === undefined) {
      unread = n
      for (const pieces of found.values()) {
        const last = pieces.at(-1)
        if (last !== undefined) pieces[pieces.length - 1] = { ...last, followed: true }
      }
      continue
    }
    for (const piece of row.pieces) {
      const pieces = found.get(piece.agent) ?? []
      pieces.push({ ...piece, doubtful: row.doubtful, followed: false })
      found.set(piece.agent, pieces)
    }
  }
  let next = old.length === 0 ? 0 : keys.turnOf(old.at(-1) ?? '') + 1

  const rows: TurnRow[] = []
  const oldest = new Map<Author, TurnRow>()
  let bytes = 0
  const queue: Waiting[] = []
  let writing = false

  const forget = (author: Author): void => {
    oldest.get(author)?.authors.delete(author)
    oldest.delete(author)
  }

  /** Rows that nobody needs: from the oldest on, so that what is left has no gap. */
  const spent = (): TurnRow[] => {
    const end = rows.findIndex(({ authors }) => authors.size > 0)
    return end < 0 ? [...rows] : rows.slice(0, end)
  }

  /** Who has to leave the oldest rows so that there are not too many of them. */
  const crowded = (writers: ReadonlySet<Author>): Author[] => {
    if (rows.length < maxRows && bytes < MAX_BYTES) return []
    const first = rows.find(({ authors }) => authors.size > 0)
    return [...(first?.authors ?? [])].filter((author) => !writers.has(author)).slice(0, MAX_FOLDS)
  }

  /** One write of what waits. */
  const writeGroup = async (group: readonly Waiting[], folding: readonly Author[]): Promise<void> => {
    const gone = spent()
    const key = keys.turn(slot, next++)
    const pieces: Uint8Array[] = []
    const said: Author[] = []
    const folds: { readonly author: Author; readonly staged: Staged }[] = folding.map((author) => ({
      author,
      staged: author.fold(),
    }))
    for (const { author, tail } of group) {
      if (tail.folds) folds.push({ author, staged: author.fold(tail) })
      else {
        pieces.push(encodePiece({ agent: author.agent, ...author.place, from: tail.from, bytes: tail.bytes }))
        said.push(author)
      }
    }
    const value = joinBytes(pieces)
    await store.commit({
      put: [...(said.length === 0 ? [] : [[key, value] as const]), ...folds.flatMap(({ staged }) => staged.put)],
      remove: gone.map((row) => row.key),
      expect: [...group.map(({ author }) => author.expect()), ...folding.map((author) => author.expect())],
    })
    rows.splice(0, gone.length)
    for (const row of gone) bytes -= row.bytes
    for (const { author, staged } of folds) {
      staged.keep()
      forget(author)
    }
    for (const { tail } of group) tail.keep(true)
    if (said.length === 0) return
    const row: TurnRow = { key, bytes: value.length, authors: new Set() }
    rows.push(row)
    bytes += value.length
    for (const author of said) {
      if (oldest.has(author)) continue
      oldest.set(author, row)
      row.authors.add(author)
    }
  }

  /** Those of a group that are not this node's any more are turned away, the others tried again without them. */
  const settle = async (all: readonly Waiting[]): Promise<void> => {
    let group = all
    let folding = crowded(new Set(group.map(({ author }) => author)))
    while (group.length > 0) {
      try {
        await writeGroup(group, folding)
        for (const { resolve } of group) resolve()
        return
      } catch (error) {
        const keysLost = new Set(error instanceof ConflictError ? error.keys : [])
        const isLost = (author: Author): boolean => keysLost.has(author.expect()[0])
        const lost = [...group.map(({ author }) => author), ...folding].filter(isLost)
        if (lost.length === 0) {
          for (const { reject } of group) reject(error)
          return
        }
        // Whoever changed an agent's authority row took over what it had said here.
        for (const author of lost) forget(author)
        for (const { author, reject } of group) if (isLost(author)) reject(new ConflictError([author.expect()[0]]))
        group = group.filter(({ author }) => !isLost(author))
        folding = folding.filter((author) => !isLost(author))
      }
    }
  }

  const run = async (): Promise<void> => {
    writing = true
    // Who ran in the same turn comes in the same moment.
    await undefined
    while (queue.length > 0) await settle(queue.splice(0, MAX_PIECES))
    writing = false
  }

  return {
    found: (agent) => ({ pieces: found.get(agent) ?? [], lossy: unread >= 0 }),
    begin: async () => {
      found.clear()
      unread = -1
      const remove = old.splice(0)
      if (remove.length === 0) return
      await store.commit({ remove, durable: false }).catch((error) => {
        // They say nothing new, and go at a start that finds room.
        if (!(error instanceof StoreFullError)) throw error
      })
    },
    write: (author, tail) =>
      new Promise((resolve, reject) => {
        queue.push({ author, tail, resolve, reject })
        if (!writing) void run()
      }),
    forget,
  }
}

/**
 * What pieces add to rows of an agent's own.
 *
 * @param bytes of those rows
 * @throws IgorError STORE_DAMAGED when some are missing
 */
export const joinPieces = (place: Place, bytes: number, { pieces, lossy }: ReturnType<Turns['found']>): Uint8Array => {
  const own = pieces.filter(({ epoch, seq }) => epoch === place.epoch && seq === place.seq)
  const parts: Uint8Array[] = []
  let end = bytes
  for (const piece of own) {
    const until = piece.from + piece.bytes.length
    if (until <= end) continue
    if (piece.from > end) throw new IgorError('STORE_DAMAGED', 'a part of its journal is missing: the data folder was damaged')
    if (piece.doubtful) throw new IgorError('STORE_DAMAGED', 'later ticks may have been lost from its journal')
    parts.push(piece.bytes.subarray(end - piece.from))
    end = until
  }
  if (lossy && (own.at(-1)?.followed ?? true))
    throw new IgorError('STORE_DAMAGED', 'the end of its journal may be in a row that is damaged')
  return joinBytes(parts)
}
