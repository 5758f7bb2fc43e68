import { StoreDamagedError } from '../errors.ts'
import type { Batch, Files } from '../platform.ts'
import { sameBytes } from './bytes.ts'
import type { Cache } from './cache.ts'
import { crc32 } from './crc.ts'
import type { KeyIndex, Place } from './key-index.ts'
import { VITAL_PREFIX } from './limits.ts'
import type { Log } from './recover.ts'

export interface ReaderOptions {
  readonly files: Files
  readonly index: KeyIndex
  readonly cache: Cache
  /** The log that the index speaks of, now. */
  readonly log: () => Log
  /** See `Recovered`. */
  readonly suspectBelow: number
  readonly vitalInDoubt: boolean
}

export interface Reader {
  /** @throws StoreDamagedError */
  read(key: string): Promise<Uint8Array | undefined>
  /**
   * The keys of a batch's conditions that do not hold.
   *
   * @param group what batches before it will have changed
   * @throws StoreDamagedError
   */
  mismatches(batch: Batch, group: ReadonlyMap<string, Uint8Array | undefined>): Promise<string[]>
}

/** Reads values and checks each: against its checksum, and against what may have been lost. */
export function makeReader({ files, index, cache, log, suspectBelow, vitalInDoubt }: ReaderOptions): Reader {
  const isSound = (place: Place) => place.bad !== true && (place.held !== undefined || place.offset >= suspectBelow)

  const read = async (key: string): Promise<Uint8Array | undefined> => {
    for (;;) {
      const place = index.get(key)
      if (place === undefined) {
        if (key.startsWith(VITAL_PREFIX) ? vitalInDoubt : suspectBelow > 0) throw damaged(key)
        return undefined
      }
      if (place.held !== undefined) return place.held.slice()
      const cached = cache.get(key)
      if (cached !== undefined) return cached.slice()
      // A vital value that is in none of the files.
      if (place.offset < 0) throw damaged(key)
      const { name, salt } = log()
      const bytes = await files.read(name, place.offset, place.length).catch((error: unknown) => {
        if (name === log().name) throw error
        return undefined
      })
      // Compacted meanwhile: it stands elsewhere now.
      if (name !== log().name) continue
      if (bytes === undefined || bytes.length !== place.length || crc32(bytes, salt) !== place.crc) throw damaged(key)
      if (!isSound(place)) throw damaged(key, bytes)
      if (index.get(key) === place) cache.set(key, bytes)
      return bytes
    }
  }

  return {
    read,
    async mismatches(batch, group) {
      const keys = new Set<string>()
      for (const [key, value] of batch.expect ?? []) {
        const place = group.has(key) ? undefined : index.get(key)
        // A length tells most values apart without reading them.
        if (place !== undefined && isSound(place) && place.length !== value?.length) keys.add(key)
        else if (!sameBytes(group.has(key) ? group.get(key) : await read(key), value)) keys.add(key)
      }
      return [...keys]
    },
  }
}

function damaged(key: string, older?: Uint8Array): StoreDamagedError {
  const what = older === undefined ? 'is damaged or was lost' : 'may be out of date, as later data was lost'
  return new StoreDamagedError(`the stored value of ${key} ${what}: the data folder was damaged`, { ...(older && { older }) })
}
