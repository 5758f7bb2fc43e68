/**
 * How long an agent stands still when it moves from server to server, each a process of its own, over TCP.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { median, report, spread } from '../../../scripts/bench-report.mjs'
import { bareHandoff } from './bare.ts'
import { startHost } from './hosts.ts'
import { benchMoves, type Led } from './moves.ts'

const TARGET_MS = 15
const BARE_TIMES = 30
/** Of a light agent's tick: some chunks and an index. */
const BARE_BYTES = 32 * 1024

const inFolder = async <T>(task: (folder: string) => Promise<T>): Promise<T> => {
  const folder = await mkdtemp(join(tmpdir(), 'igor-bench-'))
  try {
    return await task(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const withServers = <T>(task: (nodes: readonly [Led, Led]) => Promise<T>): Promise<T> =>
  inFolder(async (folder) => {
    const hosts = [await startHost(folder, 'a'), await startHost(folder, 'b')] as const
    await hosts[0].ask({ op: 'connect', to: hosts[1].tcp })
    try {
      return await task(hosts)
    } finally {
      await Promise.all(hosts.map((host) => host.stop()))
    }
  })

const bare = await inFolder((folder) => bareHandoff(folder, BARE_BYTES, BARE_TIMES))
report({ what: 'bare: 6 durable writes and a TCP round trip', value: median(bare), unit: 'ms', note: spread(bare) })
await benchMoves('server to server', TARGET_MS, withServers, median(bare))
