/**
 * The file operations of a process on a disk that takes time, fills up, and loses what was not synced. Each is a crash
 * point: before, in the middle, after.
 *
 * @module
 */
import type { Files } from '@igor/core'
import type { Disk } from '@igor/core/simulated'
import type { Points } from './points.ts'
import type { Process } from './process.ts'
import { SYNCED, type Trace, WROTE } from './trace.ts'

export interface DiskOptions {
  readonly process: Process
  readonly disk: Disk
  readonly points: Points
  readonly trace: Trace
  /** What is being made durable now. */
  readonly labels: () => Iterable<string>
  /** Microseconds that a sync takes, about. */
  readonly syncUs: number
}

/** `log-00000001` is a log. */
const kindOf = (name: string): string => /^[a-z]+/.exec(name)?.[0] ?? 'file'

export const createFiles = ({ process, disk, points, trace, labels, syncUs }: DiskOptions): Files => {
  const files = disk.open()
  const { scheduler, machine } = process
  /** One step of the disk, with its crash points. */
  const step = async <T>(what: string, us: number, whole: () => Promise<T>, half?: () => void): Promise<T> => {
    if (!process.alive) return process.never
    const names = [...new Set(labels())].map((label) => `${label}: ${what}`)
    if (names.length === 0) names.push(`store: ${what}`)
    for (const name of names) {
      if (points.reach(process, `${name}, before`)) return process.never
      if (half !== undefined && points.reach(process, `${name}, half`, half)) return process.never
    }
    if (us > 0) await process.later(us, () => {})
    const result = await whole()
    if (!process.alive) return process.never
    for (const name of names) if (points.reach(process, `${name}, after`)) return process.never
    return result
  }
  const quick = async <T>(read: () => Promise<T>): Promise<T> => (process.alive ? read() : process.never)
  return {
    list: () => quick(() => files.list()),
    size: (name) => quick(() => files.size(name)),
    read: (name, offset, length) => quick(() => files.read(name, offset, length)),
    append: (name, bytes) =>
      step(
        `append to ${kindOf(name)}`,
        0,
        () => {
          trace.note(scheduler.now, WROTE, machine, bytes, () => `writes ${bytes.length} bytes to ${name}`)
          return files.append(name, bytes)
        },
        () => void files.append(name, bytes.subarray(0, bytes.length >> 1)).catch(() => {}),
      ),
    truncate: (name, length) => step(`truncate ${kindOf(name)}`, 0, () => files.truncate(name, length)),
    rename: (from, to) => step(`rename ${kindOf(to)}`, 0, () => files.rename(from, to)),
    remove: (name) => step(`remove ${kindOf(name)}`, 0, () => files.remove(name)),
    sync: (name) =>
      step(`sync ${kindOf(name)}`, syncUs * process.random.between(0.3, 3), () => {
        trace.note(scheduler.now, SYNCED, machine, name)
        return files.sync(name)
      }),
    syncDir: () => step('sync folder', syncUs * process.random.between(0.3, 3), () => files.syncDir()),
    usage: () => quick(() => files.usage()),
    close: async () => {
      if (process.alive) await files.close()
    },
  }
}
