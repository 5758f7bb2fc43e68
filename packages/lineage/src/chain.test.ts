import { expect, test } from 'vitest'
import * as L from './index.ts'

test('smoke', async () => {
  const agentSeed = L.agentSeed(new Uint8Array(32).fill(1), new Uint8Array(32).fill(2))
  const agent = L.didOf(L.publicKeyOf(agentSeed))
  const nodeSeed = new Uint8Array(32).fill(3)
  const peer = L.peerIdOf(L.publicKeyOf(nodeSeed))
  console.log(agent, peer)
  const cid = L.rawCid(new Uint8Array(1))
  const g = await L.signRecord(
    {
      kind: 'genesis',
      version: 1,
      agent,
      seq: 0,
      prev: null,
      anchor: null,
      epoch: 1,
      time: 5,
      nonce: new Uint8Array(32),
      name: 'x',
      module: cid,
      manifest: cid,
      init: null,
      budget: 10n,
      price: 0n,
      authority: peer,
      incarnation: new Uint8Array(16),
      witness: null,
    },
    L.signerOfSeed(agentSeed),
  )
  const g2 = L.decodeRecord(g.bytes)
  expect(g2).toEqual(g)
  const chain = L.startChain(g2)
  const c = await L.signRecord(
    {
      kind: 'checkpoint',
      agent,
      seq: 1,
      prev: g.id,
      anchor: g.id,
      epoch: 1,
      time: 6,
      journal: null,
      state: L.cborCid(new Uint8Array(1)),
      from: null,
      tick: 1,
      module: cid,
      manifest: cid,
      instrument: 1,
      costTable: 1,
      fuel: 0n,
      cost: 0n,
      price: 0n,
      budget: 10n,
      orders: [],
    },
    L.signerOfSeed(nodeSeed),
  )
  const next = L.extendChain(chain, L.decodeRecord(c.bytes))
  expect(next.tick).toBe(1)
  const t = performance.now()
  for (let i = 0; i < 100; i++) L.extendChain(chain, c)
  console.log((performance.now() - t) / 100, 'ms/verify', g.bytes.length, c.bytes.length)
  const t2 = performance.now()
  for (let i = 0; i < 1000; i++) L.decodeRecord(c.bytes)
  console.log(performance.now() - t2, 'us/decode')
  const d = new Map<number, Uint8Array>()
  for (let i = 0; i < 4096; i++) d.set(i, new Uint8Array(32).fill((i % 255) + 1))
  const m = L.buildMemory(16 << 20, d)
  const t3 = performance.now()
  let mm = m
  for (let i = 0; i < 1000; i++) mm = L.applyDigests(mm, 16 << 20, [[i, new Uint8Array(32).fill(9)]])
  console.log(performance.now() - t3, 'us/apply')
  const t4 = performance.now()
  for (let i = 0; i < 50; i++) L.encodeState({ version: 1, memory: m, globals: [], host: L.cborCid(new Uint8Array(1)) })
  console.log((performance.now() - t4) / 50, 'ms/encodeState')
  const t5 = performance.now()
  for (let i = 0; i < 50; i++) L.decodeRecord(c.bytes) && L.signerOfSeed(nodeSeed)(new Uint8Array(10))
  console.log((performance.now() - t5) / 50, 'ms/sign')
})
