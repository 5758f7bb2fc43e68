import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Peer, Proof } from '@igor/core'
import {
  cborCid,
  didOf,
  type ForkProof,
  peerIdOf,
  proveFork,
  publicKeyOf,
  type Retire,
  signerOfSeed,
  signRecord,
} from '@igor/lineage'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type CallHandlers, openControl, type StreamHandlers } from './control/server.ts'
import { testFolder } from './testing/folder.ts'
import { igor, type Ran } from './testing/io.ts'

const seedOf = (n: number): Uint8Array => new Uint8Array(32).fill(n)
const agentOf = (n: number): string => didOf(publicKeyOf(seedOf(n)))
const liar = peerIdOf(publicKeyOf(seedOf(1)))

/** That the liar gave up the same agent twice. */
const proofOf = async (agent: string): Promise<ForkProof> => {
  const before = cborCid(Uint8Array.of(0xa0))
  const body = { kind: 'retire', agent, seq: 5, prev: before, anchor: before, epoch: 1, because: '', orders: [] } as const
  const sign = signerOfSeed(seedOf(1))
  const [one, two] = await Promise.all([1, 2].map((time) => signRecord<Retire>({ ...body, time }, sign)))
  const proof = one && two && proveFork(one, two, liar)
  if (proof === undefined) throw new Error('no proof')
  return proof
}

const peer = (id: string, more: Partial<Peer> = {}): Peer => ({
  ...{ id, name: 'somebody', kind: 'server', link: 'tcp', price: 0n, room: 1, agents: 0, seen: Date.now() },
  ...more,
})

describe('proofs of forks', () => {
  let cwd: string
  let known: Proof[]
  const run = (...args: string[]): Promise<Ran> => igor([...args, '--data-dir', cwd], { cwd })

  beforeEach(async () => {
    cwd = await testFolder()
    known = []
    const calls: Partial<CallHandlers> = {
      proofs: async () => known,
      peers: async () => [peer(liar, { forked: true }), peer(peerIdOf(publicKeyOf(seedOf(2))))],
    }
    const server = await openControl({ dataDir: cwd, calls: calls as CallHandlers, streams: {} as StreamHandlers })
    onTestFinished(() => server.close())
  })

  it('are listed', async () => {
    expect(await run('proofs')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^nobody in sight/) })
    known.push(await proofOf(agentOf(7)))
    expect((await run('proofs')).stdout).toMatch(new RegExp(`\nsigned +retire 1/5 +retire 1/5 +${agentOf(7)} +${liar}\n$`))
    expect(JSON.parse((await run('proofs', '--json')).stdout)).toMatchObject([
      { signer: liar, agent: agentOf(7), as: 'signed', contradicting: [{ seq: 5 }, { seq: 5 }] },
    ])
  })

  it('go into a file that igor verify checks without a node', async () => {
    const proof = await proofOf(agentOf(7))
    known.push(proof)
    const wrote = await run('proofs', 'export', liar.slice(-8), '--json')
    const { file, ...said } = JSON.parse(wrote.stdout)
    expect(said).toMatchObject({ signer: liar, bytes: proof.bytes.length })
    expect(new Uint8Array(await readFile(join(cwd, file)))).toEqual(proof.bytes)
    const elsewhere = await igor(['verify', file], { cwd, env: { IGOR_DATA_DIR: await testFolder() } })
    expect(elsewhere).toMatchObject({ code: 0, stdout: expect.stringContaining(`${liar} signed two histories`) })
    expect(await run('proofs', 'export', liar)).toMatchObject({ code: 1, stderr: expect.stringContaining('already there') })
    expect((await run('proofs', 'export', liar, '--force')).code).toBe(0)
  })

  it('of several agents are told apart', async () => {
    known.push(await proofOf(agentOf(7)), await proofOf(agentOf(8)))
    const which = await run('proofs', 'export', liar)
    expect(which).toMatchObject({ code: 1, stderr: expect.stringContaining('--agent') })
    expect(JSON.parse((await run('proofs', 'export', liar, '--agent', agentOf(8), '--json')).stdout)).toMatchObject({
      agent: agentOf(8),
    })
    expect(await run('proofs', 'export', '12D3KooWnobody')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no such proof'),
    })
  })

  it('are believed from no node: a false one is an error', async () => {
    const { signer, agent, bytes } = await proofOf(agentOf(7))
    known.push({ signer, agent, bytes: bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1) })
    expect((await run('proofs')).code).toBe(1)
  })

  it('mark whom they convict among the peers', async () => {
    const lines = (await run('peers')).stdout.split('\n').slice(1)
    expect(lines.find((line) => line.includes(liar))).toContain('signed two histories of an agent: igor proofs')
    expect(lines.filter((line) => line.includes('igor proofs'))).toHaveLength(1)
  })
})
