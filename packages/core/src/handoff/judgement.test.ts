import { readCar, signerOfSeed } from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { slotOf } from '../agent/history.ts'
import type { Agent, NodeEvent, NodePolicy } from '../api.ts'
import { encodeRow, take } from '../authority/row.ts'
import { altered, dearer, tamperedThreads } from '../execution/fixtures/tampered-threads.ts'
import { inThreads } from '../execution/in-thread.ts'
import { keys } from '../keys.ts'
import { seedOn } from '../node/fixtures/rogue.ts'
import { createWorld, eventually, manifest, spawnCounter, tapped, testCrypto, type World } from '../node/fixtures/world.ts'
import { forge } from '../replay/fixtures/forge.ts'
import { openLogStore } from '../store/log-store.ts'
import type { Disk } from '../testing/memory-files.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import { buildAgent, count, i32 } from '../worker/fixtures/wasm.ts'
import type { JobResult } from '../worker/protocol.ts'

describe('a target of a move', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  /** A node whose store says that its agent used more fuel than it did, each record signed with its own key. */
  const liar = async (): Promise<{ disk: Disk; id: string }> => {
    const node = await world.start()
    const agent = await spawnCounter(node)
    await agent.pause()
    await agent.resume()
    await agent.pause()
    const file = await readCar(await agent.export())
    await node.stop()
    const forged = await forge(file, signerOfSeed(await seedOn(node.disk)), { seq: 2, fuel: 1_000_000n })
    const disk = node.disk.copy()
    const store = await openLogStore(disk.open(), { random: testCrypto.random })
    const head = forged.records.at(-1)
    if (head === undefined) throw new Error('no records')
    await store.commit({
      put: [
        ...forged.records.map(({ body, bytes }) => [keys.record(agent.id, body.epoch, body.seq), bytes] as const),
        [keys.authority(agent.id), encodeRow(take(undefined, slotOf(head)))],
      ],
    })
    await store.close()
    return { disk, id: agent.id }
  }

  const meet = async (policy: NodePolicy): Promise<{ agent: Agent; to: string; events: NodeEvent[] }> => {
    const { disk, id } = await liar()
    const source = await world.start(disk)
    const target = await world.start(undefined, { policy })
    const events: NodeEvent[] = []
    target.onevent((event) => events.push(event))
    await eventually(source, () => source.peers().some((peer) => peer.id === target.id))
    return { agent: source.agent(id), to: target.id, events }
  }

  it.each(['on-handoff', 'full'] as const)('takes nobody in whose host bills what was not used: %s', async (mode) => {
    const { agent, to, events } = await meet({ replay: mode })
    await expect(agent.moveTo(to)).rejects.toMatchObject({
      code: 'HANDOFF_REJECTED',
      message: expect.stringContaining('false fuel'),
    })
    expect(events).toContainEqual(expect.objectContaining({ level: 'error', code: 'REPLAY_DIFFERS', agent: agent.id }))
    expect(agent.status).toMatchObject({ here: true })
  })

  it('believes its peers when it is told to', async () => {
    const { agent, to } = await meet({ replay: 'off' })
    await expect(agent.moveTo(to)).resolves.toMatchObject({ to })
  })

  describe('when the source lies about what it does after it was copied', () => {
    const always = (): Uint8Array => buildAgent({ memory: 1, tick: [...count(8), ...i32(1)] })

    const moving = async (lie: (result: JobResult) => JobResult, policy: NodePolicy, slowMs = 0) => {
      let lies = false
      const lying = tamperedThreads(inThreads(), (reply) =>
        lies && reply.type === 'ran' ? { ...reply, results: reply.results.map(lie) } : reply,
      )
      const source = await world.start(undefined, { threads: lying })
      const target = await world.start(undefined, {
        policy,
        threads: tamperedThreads(inThreads(), async (reply) => {
          if (lies && reply.type === 'placed') await systemClock.sleep(slowMs)
          return reply
        }),
        wrap: tapped((type) => {
          if (type === 'prepared') lies = true
          return 'pass'
        }),
      })
      const events: NodeEvent[] = []
      target.onevent((event) => events.push(event))
      const agent = await source.spawn({ module: always(), manifest: manifest({ tick_interval_ms: 10 }) })
      await eventually(source, () => agent.status.tick > 2 && source.peers().some((peer) => peer.id === target.id))
      return { source, target, agent, events, moved: agent.moveTo(target.id) }
    }

    const lies = [
      ['fuel', dearer],
      ['state', altered],
    ] as const
    it.each(lies)('it refuses when it runs all again: %s', async (claim, lie) => {
      const { agent, moved, events, target } = await moving(lie, { replay: 'full' })
      await expect(moved).rejects.toMatchObject({
        code: 'HANDOFF_REFUSED',
        message: expect.stringContaining('does not come out again'),
      })
      const message = expect.stringContaining(`a false ${claim === 'fuel' ? '' : claim}`)
      expect(events).toContainEqual(expect.objectContaining({ code: 'REPLAY_DIFFERS', message }))
      expect(agent.status.here).toBe(true)
      expect(target.agent(agent.id).status.here).toBe(false)
    })

    it.each(['off', 'on-handoff'] as const)(
      'it does not notice where what came after the copy is not run again: %s',
      async (replay) => {
        const { moved, target } = await moving(altered, { replay })
        await expect(moved).resolves.toMatchObject({ to: target.id })
      },
    )

    it('it takes the agent when to run it again takes long, and halts it when that ends badly', async () => {
      const { agent, moved, events, target } = await moving(altered, { replay: 'full' }, 1200)
      await expect(moved).resolves.toMatchObject({ to: target.id })
      const there = target.agent(agent.id)
      await eventually(target, () => there.status.state === 'halted')
      expect(there.status.reason).toContain('does not come out again')
      expect(events).toContainEqual(expect.objectContaining({ level: 'error', code: 'AGENT_HALTED', agent: agent.id }))
    }, 20_000)
  })
})
