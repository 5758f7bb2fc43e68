import { decode } from '@ipld/dag-cbor'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Node } from '../api.ts'
import type { Network } from '../platform.ts'
import { systemClock } from '../worker/fixtures/clock.ts'
import { createWorld, eventually, nextCount, spawnCounter, type World } from './fixtures/world.ts'

type Running = Awaited<ReturnType<World['start']>>

describe('its owner recovers an agent', () => {
  let world: World
  let a: Running
  let b: Running
  let c: Running

  beforeEach(async () => {
    world = createWorld()
    a = await world.start()
    b = await world.start()
    c = await world.start()
    for (const node of [a, b, c]) await eventually(node, () => node.peers().length === 2)
  })
  afterEach(() => world.stop())

  /** Tries until the lease is over. */
  const recovered = async (node: Node, agent: string, to?: string): Promise<void> => {
    for (;;) {
      const code = await node.recover(agent, to === undefined ? {} : { to }).then(
        () => undefined,
        (error) => error.code,
      )
      if (code === undefined) return
      expect(code).toBe('LEASE_HELD')
      await systemClock.sleep(100)
    }
  }

  it.each(['here', 'where the owner says'])('from its witness, when its lease is over: %s', async (where) => {
    const witness = await world.start(undefined, { witness: { leaseMs: 1000 }, policy: { maxAgents: 0 } })
    for (const node of [a, b, c]) await eventually(node, () => node.peers().length === 3)
    // It was born at b, whose user owns it, and moved.
    const { id } = await spawnCounter(b, { witness: witness.id })
    await nextCount(b.agent(id), 3)
    await b.agent(id).moveTo(a.id)
    const { tick } = await nextCount(a.agent(id), 10)
    await expect(b.recover(id), 'it is alive').rejects.toMatchObject({ code: 'LEASE_HELD' })
    await expect(c.recover(id)).rejects.toMatchObject({ code: 'NOT_OWNER' })
    for (const other of [witness, b, c]) world.hub.cut(a.id, other.id, true)
    const target = where === 'here' ? b : c
    await recovered(b, id, where === 'here' ? undefined : c.id)
    await eventually(target, () => target.agents().some((one) => one.agent === id && one.here))
    const next = await nextCount(target.agent(id), tick + 1)
    expect(next.count).toBe(next.tick)
    expect(target.agent(id).status).toMatchObject({ state: 'active', epoch: 3 })
    expect((await b.agent(id).passport()).asserted).toEqual([])
  })

  it('from a host that was about to move it: the move fails, and its target is not to blame', async () => {
    const witness = await world.start(undefined, { witness: { leaseMs: 1000 }, policy: { maxAgents: 0 } })
    const prepared = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const wrap = (network: Network): Network => ({
      ...network,
      handle: (protocol, handler, options) =>
        network.handle(
          protocol,
          (channel) => {
            const send = async (message: Uint8Array, signal?: AbortSignal): Promise<void> => {
              if (decode<{ type: string }>(message).type === 'prepared') {
                prepared.resolve()
                await goOn.promise
              }
              await channel.send(message, signal)
            }
            return handler({ ...channel, send })
          },
          options,
        ),
    })
    const slow = await world.start(undefined, { wrap })
    for (const node of [a, b, slow]) await eventually(node, () => node.peers().length === 4)
    const { id } = await spawnCounter(b, { witness: witness.id })
    await nextCount(b.agent(id), 3)
    const moving = b.agent(id).moveTo(slow.id)
    const failed = expect(moving).rejects.toMatchObject({ code: 'NOT_AUTHORITATIVE' })
    await prepared.promise
    world.hub.cut(b.id, witness.id, true)
    await a.importKey(Uint8Array.from((await b.exportKeys())[0]?.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)))
    await recovered(a, id)
    world.hub.cut(b.id, witness.id, false)
    await eventually(b, () => !b.agent(id).status.here)
    goOn.resolve()
    await failed
  })

  it('without a witness by a word that its last host is gone, from what this node has', async () => {
    const residing = (place: string) => ({ residence: { read: () => place } })
    const first = await world.start(undefined, residing('one'))
    const { id } = await spawnCounter(first)
    const { tick } = await nextCount(first.agent(id), 3)
    const copied = first.disk.copy()
    await first.stop()
    const copy = await world.start(copied, residing('two'))
    expect(copy.agent(id).status).toMatchObject({ state: 'halted', here: true })
    await expect(copy.recover(id)).rejects.toMatchObject({ code: 'NOT_AUTHORITATIVE' })
    expect(copy.agent(id).status).toMatchObject({ state: 'halted', here: true })
    await eventually(copy, () => copy.peers().some((peer) => peer.id === c.id))
    await copy.recover(id, { force: true, to: c.id })
    await eventually(c, () => c.agents().some((one) => one.agent === id && one.here))
    const next = await nextCount(c.agent(id), tick + 1)
    expect(next.count).toBe(next.tick)
    expect((await copy.agent(id).passport()).asserted[0]).toMatch(/holder-gone/)
  })
})
