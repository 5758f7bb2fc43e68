import { type AgentFile, didOf, makeOrder, publicKeyOf, readCar } from '@igor/lineage'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Agent, Node } from '../api.ts'
import { inThreads } from '../execution/in-thread.ts'
import { createExecutor } from '../execution/pool.ts'
import { createWorld, eventually, manifest, testCrypto, type World } from '../node/fixtures/world.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import { add, buildAgent, call, count, grow, i32, load, mul, store, unreachable, when } from '../worker/fixtures/wasm.ts'
import { replay } from './replay.ts'
import type { Replay, ReplayOptions } from './report.ts'

const judge = async (file: AgentFile, options: ReplayOptions = {}): Promise<Replay> => {
  const executor = createExecutor(inThreads(), systemClock)
  try {
    return await replay(
      file,
      async (cids) => cids.map((cid) => file.blocks.get(cid.toString())),
      { executor, crypto: testCrypto },
      options,
    )
  } finally {
    await executor.close()
  }
}

const busy = (): Uint8Array =>
  buildAgent({
    imports: {
      'igor.inbox_next': 'i32 i32 -> i32',
      'igor.clock_now': '-> i64',
      'igor.rand_bytes': 'i32 i32 -> i32',
    },
    memory: 1,
    tick: [...count(8), ...call('igor.inbox_next', i32(1024), i32(4096)), 0x1a, ...i32(0)],
  })

describe('an honest history', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  it('is consistent', async () => {
    const node = await world.start()
    const agent = await node.spawn({
      module: busy(),
      manifest: manifest({ capabilities: { inbox: { version: 1 }, clock: { version: 1 }, rand: { version: 1 } } }),
    })
    await agent.send('one')
    await agent.pause()
    await agent.resume()
    await agent.send('two')
    await eventually(node, () => agent.status.tick > 5)
    const file = await readCar(await agent.export())
    const found = await judge(file)
    console.log(found)
    expect(found.verdict).toBe('consistent')
  })
})
