/**
 * Checking a file or a history, with or without a replay: in Node.js and in a page alike.
 *
 * @module
 */
import { type AgentFile, type Chain, readCar, verifyChain } from '@igor/lineage'
import type { Passport, Verification, VerifyOptions } from '../api.ts'
import { createExecutor } from '../execution/pool.ts'
import type { Platform } from '../platform.ts'
import type { ReadBlocks } from './blocks.ts'
import { type Judge, replay } from './replay.ts'

export type JudgePlatform = Pick<Platform, 'clock' | 'crypto' | 'threads'>

/** @param chain verified */
export const passportOf = (chain: Chain): Passport => ({
  agent: chain.agent,
  name: chain.genesis.body.name,
  hosts: chain.hosts,
  records: chain.records,
  epoch: chain.epoch,
  tick: chain.tick,
  genesis: chain.genesis.id.toString(),
  module: chain.module.toString(),
  asserted: chain.asserted.map(({ record, asserts }) => `${asserts} (${record})`),
})

/** Lends a judge with one worker of its own: what it runs again keeps nobody waiting, and may hang nobody. */
export const withJudge = async <T>({ clock, crypto, threads }: JudgePlatform, task: (judge: Judge) => Promise<T>): Promise<T> => {
  const executor = createExecutor(threads, clock, { maxThreads: 1 })
  try {
    return await task({ executor, crypto })
  } finally {
    await executor.close()
  }
}

const blocksOf =
  ({ blocks }: Pick<AgentFile, 'blocks'>): ReadBlocks =>
  async (cids) =>
    cids.map((cid) => blocks.get(cid.toString()))

/** What several files show of one agent: more of its past than the last one carries. @throws LineageError when they contradict each other */
const join = (files: readonly AgentFile[]): Pick<AgentFile, 'chain' | 'records' | 'blocks'> => {
  const [only] = files
  if (only !== undefined && files.length === 1) return only
  const records = new Map(files.flatMap((file) => file.records.map((record) => [record.id.toString(), record] as const)))
  const all = [...records.values()].sort((a, b) => a.body.seq - b.body.seq)
  return { chain: verifyChain(all), records: all, blocks: new Map(files.flatMap(({ blocks }) => [...blocks])) }
}

/**
 * Checks a `.car` file, or several of one agent; with `replay` what they carry is run again in a worker.
 *
 * @throws LineageError when a file or the history does not hold; the signal's reason
 */
export const verifyFile = async (
  platform: JudgePlatform,
  files: Uint8Array | readonly Uint8Array[],
  options: VerifyOptions = {},
): Promise<Verification> => {
  const { replay: runs = false, signal } = options
  const read: AgentFile[] = []
  for (const bytes of files instanceof Uint8Array ? [files] : files) {
    read.push(await readCar(bytes, { sha256: (inputs) => platform.crypto.sha256(inputs) }))
    signal?.throwIfAborted()
  }
  const file = join(read)
  const passport = passportOf(file.chain)
  if (!runs) return passport
  return { ...passport, replay: await withJudge(platform, (judge) => replay(file, blocksOf(file), judge, options)) }
}
