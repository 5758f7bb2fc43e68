/**
 * What a checkpoint of a witnessed agent costs on the line: round trips, and bytes beside the blocks that it brings (the
 * journal's segment, the state and its changed chunks).
 *
 * @module
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Channel, createCoreNode, createMemoryHub, type Network, openLogStore, witnessOffice } from '@igor/core'
import { decode } from '@ipld/dag-cbor'
import { median, report } from '../../../scripts/bench-report.mjs'
import { WITNESS_PROTOCOL } from '../../core/src/protocols/witness.ts'
import { nodeClock, nodeCrypto, nodeThreads, openFiles } from '../src/index.ts'

const SECONDS = 8
const ORDERS = 4
const TARGET_BYTES = 1024

interface Commit {
  /** Frames that came back until it was cosigned. */
  answers: number
  bytes: number
  blocks: number
  done: boolean
}

interface Said {
  readonly type: string
  readonly n: number
  /** Whole ones in a commit; parts, with whether they end, where the witness asked for them. */
  readonly blocks?: readonly (Uint8Array | readonly [Uint8Array, boolean])[]
}

const commits = new Map<number, Commit>()
const count = (frame: Uint8Array, comes: boolean): void => {
  const { type, n, blocks = [] } = decode<Said>(frame)
  if (type === 'commit' && !comes) commits.set(n, commits.get(n) ?? { answers: 0, bytes: 0, blocks: 0, done: false })
  const commit = commits.get(n)
  if (commit === undefined) return
  commit.bytes += frame.length
  if (!comes) commit.blocks += blocks.reduce((sum, block) => sum + (block instanceof Uint8Array ? block : block[0]).length, 0)
  if (comes) commit.answers++
  commit.done ||= type === 'cosigned'
}
const counted = (network: Network): Network => ({
  ...network,
  open: async (target, protocol, options) => {
    const channel = await network.open(target, protocol, options)
    if (protocol !== WITNESS_PROTOCOL) return channel
    const seen: Channel = {
      ...channel,
      send: async (frame, signal) => {
        count(frame, false)
        await channel.send(frame, signal)
      },
      receive: async (signal) => {
        const frame = await channel.receive(signal)
        if (frame !== undefined) count(frame, true)
        return frame
      },
    }
    return seen
  },
})

const clock = nodeClock()
const crypto = nodeCrypto()
const folder = await mkdtemp(join(tmpdir(), 'igor-bench-'))
const hub = createMemoryHub()
const start = async (name: string, witness: boolean) => {
  const store = await openLogStore(await openFiles(join(folder, name)), { random: (length) => crypto.random(length) })
  const network = async (seed: Uint8Array) => counted(hub.join(seed))
  return createCoreNode(
    { clock, crypto, store, threads: nodeThreads(), network },
    { kind: 'server', office: witnessOffice, ...(witness ? { witness: true } : {}) },
  )
}

/** Of the commits since the last time, those that went through. */
const take = (): Commit[] => {
  const done = [...commits.values()].filter((commit) => commit.done)
  commits.clear()
  return done
}
/** @param atMost bytes */
const tell = (what: string, made: readonly Commit[], atMost: object = {}): void => {
  const beside = median(made.map(({ bytes, blocks }) => bytes - blocks))
  const note = `both ways; ${median(made.map(({ blocks }) => blocks))} bytes of blocks; ${made.length} commits`
  report({ what: `${what}: bytes beside its blocks`, value: beside, unit: 'B', note, ...atMost })
  const trips = made.reduce((sum, { answers }) => sum + answers, 0) / made.length
  report({ what: '  round trips', value: trips, unit: 'x', atMost: 1 })
}

const witness = await start('witness', true)
const host = await start('host', false)
try {
  while (!host.peers().some(({ id }) => id === witness.id)) await clock.sleep(20)
  const agent = await host.spawn({
    module: await readFile(new URL('../../../agents/counter/counter.wasm', import.meta.url)),
    manifest: { capabilities: { log: { version: 1 } }, tick_interval_ms: 1000 },
    witness: witness.id,
  })
  await clock.sleep(2000)
  take()
  await clock.sleep(SECONDS * 1000)
  tell('a witnessed checkpoint of what was journaled', take(), { atMost: TARGET_BYTES })
  for (let i = 0; i < ORDERS; i++) {
    await clock.sleep(1500)
    await agent.pause()
    await agent.resume()
  }
  // The order itself is in the record.
  tell('one with a state, for an order', take())
} finally {
  await host.stop()
  await witness.stop()
  await rm(folder, { recursive: true, force: true })
}
