import { type Checkpoint, readCar, signRecord } from '@igor/lineage'
import { CURRENT, VERSIONS } from '@igor/sandbox'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HANDOFF_PROTOCOL } from '../handoff/protocol.ts'
import { keys } from '../keys.ts'
import { makeRogue } from '../node/fixtures/rogue.ts'
import { createWorld, eventually, nextCount, spawnCounter, testCrypto, type World } from '../node/fixtures/world.ts'
import { openLogStore } from '../store/log-store.ts'
import type { Disk } from '../testing/memory-files.ts'
import { withOwnRows } from './fixtures/own-rows.ts'

/** By which calls of the host cost nothing: each tick of an agent that logs tells the two apart. */
const [OLD = CURRENT] = VERSIONS

/** The first row of the open journal, changed. */
const alterTail = async (disk: Disk, agent: string, alter: (row: Uint8Array) => Uint8Array): Promise<Disk> => {
  const copy = await withOwnRows(disk)
  const store = await openLogStore(copy.open(), { random: testCrypto.random })
  const [key = ''] = await store.list(keys.journal(agent))
  await store.commit({ put: [[key, alter((await store.get(key)) ?? new Uint8Array())]] })
  await store.close()
  return copy
}

/** Behind the mark. */
const byVersion = (instrument: number) => (row: Uint8Array) => row.map((byte, i) => (i === 1 ? instrument : byte))

describe('a node that was updated', () => {
  let world: World
  beforeEach(() => {
    world = createWorld()
  })
  afterEach(async () => {
    await world.stop()
  })

  const oldDisk = async () => {
    const node = await world.start(undefined, { version: OLD })
    const agent = await spawnCounter(node)
    await nextCount(agent, 5)
    await node.stop()
    return { disk: node.disk, id: agent.id, tick: agent.status.tick }
  }

  it('runs the end of a journal by the version that it was made by, and goes on by its own from a state on', async () => {
    const { disk, id, tick } = await oldDisk()
    const node = await world.start(disk.copy())
    const agent = node.agent(id)
    expect(await nextCount(agent, tick + 3)).toEqual({ tick: agent.status.tick, count: agent.status.tick })
    const file = await readCar(await agent.export())
    const made = file.records.flatMap(({ body }) => ('costTable' in body ? [body] : []))
    expect(made[0]).toMatchObject(OLD)
    expect(made.at(-1)).toMatchObject(CURRENT)
    // Where one follows the other there is a state.
    const last = made.findLast(({ costTable }) => costTable === OLD.costTable)
    expect(last?.state).not.toBeNull()
    expect(last?.tick).toBeGreaterThanOrEqual(tick)
    const { replay } = await agent.verify({ replay: true })
    expect(replay).toMatchObject({ verdict: 'consistent', fromTick: 0, doubts: [] })
  })

  it('keeps an agent whose last ticks ran by a version that it lacks, says which, and can be updated again', async () => {
    const { disk, id, tick } = await oldDisk()
    const later = await alterTail(disk, id, byVersion(200))
    const node = await world.start(later)
    const events: string[] = []
    const said = new Promise<void>((resolve) => {
      node.onevent(({ code, message }) => {
        if (code !== 'VERSION_UNKNOWN') return
        events.push(message)
        resolve()
      })
    })
    await said
    expect(events[0]).toMatch(
      `ran by instrumentation 200 with cost table ${OLD.costTable}, this node has ${VERSIONS.map(
        ({ instrument, costTable }) => `instrumentation ${instrument} with cost table ${costTable}`,
      ).join(', ')}: it takes the version of Igor that wrote it, or a later one`,
    )
    const agent = node.agent(id)
    expect(agent.status).toMatchObject({ here: true, tick })
    expect(agent.status.state).not.toBe('halted')
    await node.stop()
    const again = await world.start(await alterTail(node.disk, id, byVersion(OLD.instrument)))
    const back = again.agent(id)
    expect((await nextCount(back, tick + 1)).count).toBe(back.status.tick)
  })

  it('goes on where rows of the journal say no version: they were written by the one that made the state', async () => {
    const { disk, id, tick } = await oldDisk()
    const node = await world.start(await alterTail(disk, id, (row) => row.subarray(9)))
    const agent = node.agent(id)
    expect((await nextCount(agent, tick + 1)).count).toBe(agent.status.tick)
  })

  it('hands an agent over that an older one runs, and runs again what that did', async () => {
    const [old, own] = [await world.start(undefined, { version: OLD }), await world.start()]
    const agent = await spawnCounter(old)
    await eventually(old, () => old.peers().some(({ id }) => id === own.id))
    await nextCount(agent, 3)
    await agent.moveTo(own.id)
    const there = own.agent(agent.id)
    await nextCount(there, there.status.tick + 1)
    const { replay } = await there.verify({ replay: true })
    expect(replay?.guilt).toBeUndefined()
    // And back again: whoever runs by an older one still knows the newer.
    await eventually(own, () => own.peers().some(({ id }) => id === old.id))
    await agent.moveTo(old.id)
    const home = old.agent(agent.id)
    expect((await nextCount(home, home.status.tick + 1)).count).toBe(home.status.tick)
  })

  it('is not offered what runs by a version that it does not know: it says so, with a code', async () => {
    const node = await world.start()
    const agent = await spawnCounter(node)
    const { records } = await readCar(await agent.export())
    const last = records.at(-1)?.body as Checkpoint
    const rogue = makeRogue(world.hub)
    const head = await signRecord({ ...last, instrument: 200 }, rogue.sign)
    const offer = {
      type: 'offer',
      agent: agent.id,
      id: new Uint8Array(16),
      head: head.bytes,
      memory: 0,
      replayFuel: 0,
      clockUs: 0,
    }
    expect(await rogue.ask(node.id, HANDOFF_PROTOCOL, offer)).toMatchObject({
      type: 'reject',
      code: 'VERSION_UNKNOWN',
      reason: expect.stringContaining('it ran by instrumentation 200 with cost table'),
    })
  })

  it('does not start by a version that it lacks', async () => {
    await expect(world.start(undefined, { version: { instrument: 200, costTable: 1 } })).rejects.toMatchObject({
      code: 'VERSION_UNKNOWN',
    })
  })
})
