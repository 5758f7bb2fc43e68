import { StoreFullError } from '../errors.ts'
import type { Files } from '../platform.ts'
import { joinBytes } from './bytes.ts'
import type { KeyIndex } from './key-index.ts'
import { VITAL_PREFIX } from './limits.ts'
import { COPY_ROLES, fileName } from './names.ts'
import { makeNewFile, makeSalt, type NewFile } from './new-file.ts'
import { encodeRow, type Row, type RowChange } from './rows.ts'
import { syncFile } from './sync.ts'

/** A copy is written anew when it is longer than a floor and four times as long as what is in it. */
const REWRITE_FACTOR = 4

/** One of the two files of vital rows. */
export interface CopyFile {
  readonly name: string
  readonly salt: number
  readonly length: number
}

/** What a row says of the main log. */
export interface Note {
  readonly sequence: number
  readonly generation: number
  readonly noted: number
}

/** The two files, written one after the other, never at the same time. */
export interface Copies {
  /** Appends the changes (or the note alone, when there are none) to both, each durable before the next. */
  append(changes: readonly RowChange[], note: Note): Promise<void>
  /** Takes back an `append` that found the disk full. */
  rollBack(): Promise<void>
  /** True when much of them is out of date. */
  readonly worn: boolean
  /** Writes both anew from the index. On a full disk the copies stay as they are. */
  rewrite(index: KeyIndex, note: Note): Promise<void>
}

export interface FoundCopy {
  /** Highest number of such a file, usable or not. 0: there was none. */
  readonly generation: number
  /** What can be appended to. */
  readonly file?: CopyFile
}

export function makeCopies(
  files: Files,
  random: (length: number) => Uint8Array,
  found: readonly FoundCopy[],
  firstCounter: number,
  firstCovered: number,
  rewriteAbove: number,
): Copies {
  const copies = found.map(({ file }) => file)
  const generations = found.map(({ generation }) => generation)
  let nextCounter = firstCounter
  let covered = firstCovered
  // What `worn` is measured against.
  let fresh = 0
  let before = { copies: [...copies], nextCounter, covered }

  const encode = (changes: readonly RowChange[], note: Note, offset: number, salt: number): Uint8Array => {
    const rows: Uint8Array[] = []
    let at = offset
    let counter = nextCounter
    const all = changes.length > 0 ? changes : [undefined]
    for (const [i, change] of all.entries()) {
      // Only with the last of them is all there up to this batch.
      const sequence = i === all.length - 1 ? note.sequence : covered
      const row: Row = { ...note, sequence, counter: counter++, ...(change === undefined ? {} : { change }) }
      const bytes = encodeRow(row, at, salt)
      rows.push(bytes)
      at += bytes.length
    }
    return joinBytes(rows)
  }

  const writeAside = async (name: string, changes: readonly RowChange[], note: Note): Promise<NewFile> => {
    const made = await makeNewFile(files, 'igorrow\n', name, { salt: makeSalt(random), first: nextCounter })
    try {
      await made.append(encode(changes, note, made.length, made.salt))
      return made
    } catch (error) {
      await made.discard()
      throw error
    }
  }

  return {
    get worn() {
      return copies.some((copy) => copy !== undefined && copy.length > Math.max(rewriteAbove, REWRITE_FACTOR * fresh))
    },

    async append(changes, note) {
      before = { copies: [...copies], nextCounter, covered }
      for (const [i, copy] of copies.entries()) {
        if (copy === undefined) continue
        const bytes = encode(changes, note, copy.length, copy.salt)
        await files.append(copy.name, bytes)
        await syncFile(files, copy.name)
        copies[i] = { ...copy, length: copy.length + bytes.length }
      }
      nextCounter += Math.max(1, changes.length)
      covered = note.sequence
    },

    async rollBack() {
      for (const [i, copy] of before.copies.entries()) {
        if (copy === undefined) continue
        await files.truncate(copy.name, copy.length)
        await syncFile(files, copy.name)
        copies[i] = copy
      }
      nextCounter = before.nextCounter
      covered = before.covered
    },

    async rewrite(index, note) {
      const changes = index.list(VITAL_PREFIX).flatMap((key) => {
        const value = index.get(key)?.held
        return value === undefined ? [] : [{ key, value }]
      })
      fresh = 0
      for (const [i, role] of COPY_ROLES.entries()) {
        const old = copies[i]
        const name = fileName(role, (generations[i] ?? 0) + 1)
        const made = await writeAside(name, changes, note).catch((error: unknown) => {
          if (error instanceof StoreFullError && old !== undefined) return undefined
          throw error
        })
        // Without room the old one does; to be tried again when it has grown that much more.
        fresh = Math.max(fresh, made?.length ?? old?.length ?? 0)
        if (made === undefined) continue
        await made.finish()
        generations[i] = (generations[i] ?? 0) + 1
        copies[i] = { name, salt: made.salt, length: made.length }
        if (old !== undefined) await files.remove(old.name)
      }
      nextCounter += Math.max(1, changes.length)
      covered = note.sequence
    },
  }
}
