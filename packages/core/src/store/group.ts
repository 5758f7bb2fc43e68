import type { Files } from '../platform.ts'
import { joinBytes } from './bytes.ts'
import { type Encoded, stampEntry } from './entry.ts'
import { VITAL_PREFIX } from './limits.ts'
import type { Log } from './recover.ts'
import type { RowChange } from './rows.ts'

/** Entries up to this size are joined into one write. */
const JOIN_BELOW = 64 * 1024

/**
 * Appends entries to the log, one behind the other.
 *
 * @returns where each of them stands
 */
export async function appendEntries(files: Files, log: Log, entries: readonly Encoded[]): Promise<number[]> {
  const offsets: number[] = []
  let offset = log.length
  let small: Uint8Array[] = []
  const flush = async () => {
    if (small.length > 0) await files.append(log.name, joinBytes(small))
    small = []
  }
  for (const [i, entry] of entries.entries()) {
    const stamp = { offset, index: log.nextIndex + i, sequence: log.sequence + 1 + i, synced: log.synced }
    stampEntry(entry, stamp, log.salt)
    offsets.push(offset)
    offset += entry.bytes.length
    if (entry.bytes.length <= JOIN_BELOW) {
      small.push(entry.bytes)
      continue
    }
    await flush()
    await files.append(log.name, entry.bytes)
  }
  await flush()
  log.length = offset
  log.nextIndex += entries.length
  log.sequence += entries.length
  return offsets
}

/** What a batch leaves of the vital keys that it names. */
export function vitalChanges({ items, bytes }: Encoded): RowChange[] {
  const changes = new Map<string, RowChange>()
  for (const { key, value } of items) {
    if (!key.startsWith(VITAL_PREFIX)) continue
    changes.set(key, value === undefined ? { key } : { key, value: bytes.subarray(value.at, value.at + value.length) })
  }
  return [...changes.values()]
}
