import { readCar, signerOfSeed } from '@igor/lineage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { slotOf } from '../agent/history.ts'
import type { Agent, NodeEvent, NodePolicy } from '../api.ts'
import { encodeRow, take } from '../authority/row.ts'
import { keys } from '../keys.ts'
import { seedOn } from '../node/fixtures/rogue.ts'
import { createWorld, eventually, spawnCounter, testCrypto, type World } from '../node/fixtures/world.ts'
import { forge } from '../replay/fixtures/forge.ts'
import { openLogStore } from '../store/log-store.ts'
import type { Disk } from '../testing/memory-files.ts'

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
})
