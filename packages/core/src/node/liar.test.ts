import { afterEach, beforeEach, expect, it } from 'vitest'
import { makeRogue } from './fixtures/rogue.ts'
import { createWorld, eventually, spawnCounter, type World } from './fixtures/world.ts'

let world: World
beforeEach(() => {
  world = createWorld()
})
afterEach(async () => {
  await world.stop()
})

it('a stranger that says it hosts an agent gets neither its orders nor its messages', async () => {
  const home = await world.start()
  const remote = await world.start()
  const rogue = makeRogue(world.hub)
  const agent = await spawnCounter(home)
  const [seed = ''] = await home.exportKeys()
  await remote.importKey(Uint8Array.from(seed.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)))
  await eventually(remote, () => remote.agents().some((one) => one.agent === agent.id && one.owned))
  await rogue.says([{ agent: agent.id, epoch: 2 ** 50, seq: 1 }])
  await eventually(remote, () => remote.agent(agent.id).status.host === rogue.id)
  await remote.agent(agent.id).pause()
  expect(agent.status).toMatchObject({ state: 'paused', here: true })
  expect(remote.agent(agent.id).status.host).toBe(home.id)
})
