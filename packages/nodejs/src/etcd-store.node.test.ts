import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ConflictError, type Node } from '@igor/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createNode } from './create-node.ts'
import { etcdStore, openSharedWitness, parseEtcd } from './etcd-store.ts'

const ETCD = '/usr/bin/etcd'
const COUNTER = fileURLToPath(new URL('../../../agents/counter/counter.wasm', import.meta.url))

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

const eventually = async (node: Node, condition: () => boolean): Promise<void> => {
  const late = AbortSignal.timeout(20_000)
  while (!condition()) {
    late.throwIfAborted()
    await new Promise<void>((resolve) => {
      const off = node.onchange(() => {
        off()
        resolve()
      })
      late.addEventListener('abort', () => resolve())
    })
  }
}

describe('the address of etcd', () => {
  it('names one member or several', () => {
    expect(parseEtcd('etcd://127.0.0.1:2379')).toEqual(['http://127.0.0.1:2379'])
    expect(parseEtcd('etcds://a:1,b:2/')).toEqual(['https://a:1', 'https://b:2'])
    for (const wrong of ['127.0.0.1:2379', 'http://a', 'etcd://', 'etcd://a b'])
      expect(() => parseEtcd(wrong)).toThrow(expect.objectContaining({ code: 'BAD_ADDRESS' }))
  })
})

describe.skipIf(!existsSync(ETCD))('a witness in etcd (needs /usr/bin/etcd, Debian: etcd-server)', () => {
  let folder: string
  let url: string
  let ports: readonly [number, number]
  let etcd: ChildProcess

  const start = async (): Promise<void> => {
    const [client, peer] = ports
    const args = [
      ['--data-dir', join(folder, 'etcd')],
      ['--listen-client-urls', `http://127.0.0.1:${client}`],
      ['--advertise-client-urls', `http://127.0.0.1:${client}`],
      ['--listen-peer-urls', `http://127.0.0.1:${peer}`],
      ['--initial-advertise-peer-urls', `http://127.0.0.1:${peer}`],
      ['--initial-cluster', `default=http://127.0.0.1:${peer}`],
      ['--log-level', 'error'],
    ]
    etcd = spawn(ETCD, args.flat(), { stdio: 'ignore' })
    for (;;) {
      const healthy = await fetch(`http://127.0.0.1:${client}/health`).then(
        (answer) => answer.ok,
        () => false,
      )
      if (healthy) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const stop = async (): Promise<void> => {
    etcd.kill('SIGKILL')
    await once(etcd, 'close')
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'igor-etcd-'))
    ports = [await freePort(), await freePort()]
    url = `etcd://127.0.0.1:${ports[0]}`
    await start()
  })
  afterAll(async () => {
    await stop()
    await rm(folder, { recursive: true })
  })

  it('compares and swaps, and says which keys were others', async () => {
    const store = etcdStore(url, { prefix: 'swap/' })
    const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)]
    await store.commit({ put: [['vital/a', one]], expect: [['vital/a', undefined]] })
    expect(await store.get('vital/a')).toEqual(one)
    expect(await store.get('vital/b')).toBeUndefined()
    const lost = store.commit({ put: [['vital/a', two]], expect: [['vital/a', undefined]] })
    await expect(lost).rejects.toBeInstanceOf(ConflictError)
    await expect(lost).rejects.toMatchObject({ keys: ['vital/a'] })
    await store.commit({ put: [['vital/a', two]], expect: [['vital/a', one]] })
    const racing = Array.from({ length: 8 }, (_, i) =>
      store.commit({ put: [['vital/a', Uint8Array.of(10 + i)]], expect: [['vital/a', two]] }).then(
        () => i,
        () => undefined,
      ),
    )
    const won = (await Promise.all(racing)).filter((i) => i !== undefined)
    expect(won).toHaveLength(1)
    expect(await store.get('vital/a')).toEqual(Uint8Array.of(10 + (won[0] ?? 0)))
    await store.close()
  })

  it('takes more blocks than one transaction holds, lists them, and removes them only under the head that does without', async () => {
    const store = etcdStore(url, { prefix: 'blocks/' })
    const head = Uint8Array.of(1)
    const blocks = Array.from(
      { length: 250 },
      (_, i) => [`witness/x/block/${String(i).padStart(3, '0')}`, new Uint8Array(9000).fill(i)] as const,
    )
    await store.commit({ put: [...blocks, ['vital/x', head]], expect: [['vital/x', undefined]] })
    const names = blocks.map(([key]) => key)
    expect(await store.list('witness/x/block/')).toEqual(names)
    const next = Uint8Array.of(2)
    await store.commit({ put: [['vital/x', next]], remove: names.slice(1), expect: [['vital/x', head]] })
    expect(await store.list('witness/x/')).toEqual(names.slice(0, 1))
    expect((await store.usage()).used).toBeGreaterThan(0)
    await store.close()
  })

  it('is served by two nodes: one may die, and etcd may be away for a while', { timeout: 60_000 }, async () => {
    const relay = async (name: string): Promise<Node> => {
      const shared = await openSharedWitness(url)
      const listen = { host: '127.0.0.1', tcp: 0, ws: 0 }
      return createNode({ dataDir: join(folder, name), name, listen, witness: { shared, leaseMs: 2000 } })
    }
    const nodes = [await relay('first'), await relay('second')] as const
    const [first, second] = nodes
    const host = await createNode({ dataDir: join(folder, 'host'), listen: { host: '127.0.0.1', tcp: 0 } })
    try {
      expect(first.witness).toBe(second.witness)
      expect([first.id, second.id]).not.toContain(first.witness)
      for (const { multiaddrs } of nodes) await host.connect(multiaddrs[0] ?? '')
      const bothSeen = (): boolean => nodes.every(({ id }) => host.peers().some((peer) => peer.id === id))
      await eventually(host, bothSeen)
      const agent = await host.spawn({
        module: await readFile(COUNTER),
        manifest: { capabilities: { log: { version: 1 } }, tick_interval_ms: 50 },
        witness: first.witness ?? '',
      })
      const commits = async (more: number): Promise<void> => {
        const from = agent.status.committed ?? 0
        await eventually(host, () => (agent.status.committed ?? 0) >= from + more)
      }
      await commits(20)
      await first.stop()
      await commits(40)
      await stop()
      await eventually(host, () => agent.status.state === 'halted')
      await start()
      await commits(20)
      expect(agent.status).toMatchObject({ state: 'active', epoch: 1 })
    } finally {
      await Promise.all([...nodes, host].map((node) => node.stop()))
    }
  })
})
