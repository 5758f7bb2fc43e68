import { networkSuite } from '@igor/core/testing'
import { peerIdOf, publicKeyOf } from '@igor/lineage'
import { describe, expect, it, vi } from 'vitest'
import { createNetwork, type NetworkWarning } from './index.ts'
import type { ListenOptions } from './options.ts'
import { DEAD, seed } from './testing/helpers.ts'

async function pairOver(listen: ListenOptions) {
  const [a, b] = await Promise.all([createNetwork({ seed: seed(), reserve: false }), createNetwork({ seed: seed(), listen })])
  await a.connect(b.multiaddrs()[0] ?? '')
  return {
    a,
    b,
    deadAddress: DEAD.tcp,
    async close() {
      await Promise.all([a.close(), b.close()])
    },
  }
}

describe('over TCP', () => networkSuite(() => pairOver({ tcp: 0 })))
describe('over WebSocket', () => networkSuite(() => pairOver({ ws: 0 })))

describe('a node', () => {
  it('has the peer id that lineages know it by', async () => {
    for (let round = 0; round < 5; round++) {
      const key = seed()
      const network = await createNetwork({ seed: key })
      expect(network.id).toBe(peerIdOf(publicKeyOf(key)))
      await network.close()
    }
  })

  it('does not start on a port that is taken, or with an address that is none', async () => {
    const first = await createNetwork({ seed: seed(), listen: { tcp: 0 } })
    const port = Number(first.multiaddrs()[0]?.split('/')[4])
    await expect(createNetwork({ seed: seed(), listen: { tcp: port } })).rejects.toThrow(String(port))
    await expect(createNetwork({ seed: seed(), bootstrap: ['nonsense'] })).rejects.toMatchObject({ code: 'BAD_ADDRESS' })
    await expect(createNetwork({ seed: seed(), announce: ['nonsense'] })).rejects.toMatchObject({ code: 'BAD_ADDRESS' })
    await first.close()
  })

  it('announces what it is told to', async () => {
    const address = '/dns4/example.org/tcp/443/wss'
    const network = await createNetwork({ seed: seed(), listen: { ws: 0 }, announce: [address] })
    expect(network.multiaddrs()).toEqual([`${address}/p2p/${network.id}`])
    await network.close()
  })

  it('serves a protocol once at a time', async () => {
    const network = await createNetwork({ seed: seed() })
    const serve = () => network.handle('/test/once/1.0.0', async () => {}, { maxPerPeer: 1 })
    const stop = serve()
    expect(serve).toThrow('/test/once/1.0.0')
    stop()
    const again = serve()
    stop()
    expect(serve).toThrow('/test/once/1.0.0')
    again()
    await network.close()
  })

  it('survives a handler that cannot take what a stranger said', async () => {
    const warnings: NetworkWarning[] = []
    const onwarning = (warning: NetworkWarning) => void warnings.push(warning)
    const [a, b] = await Promise.all([
      createNetwork({ seed: seed() }),
      createNetwork({ seed: seed(), listen: { tcp: 0 }, onwarning }),
    ])
    await a.connect(b.multiaddrs()[0] ?? '')
    const heard: number[] = []
    b.subscribe('test/throws', () => {
      throw new Error('what is this?')
    })
    b.subscribe('test/throws', (message) => heard.push(message.length))
    await vi.waitFor(async () => {
      await a.publish('test/throws', new Uint8Array(3))
      expect(heard).toContain(3)
      expect(warnings[0]).toMatchObject({ code: 'HANDLER_FAILED', message: expect.stringContaining('what is this?') })
    })
    await Promise.all([a.close(), b.close()])
  })

  it('goes on without WebRTC where its native part is missing', async () => {
    vi.doMock('@libp2p/webrtc', () => {
      throw new Error('no native part')
    })
    try {
      const warnings: NetworkWarning[] = []
      const network = await createNetwork({
        seed: seed(),
        listen: { tcp: 0, webrtc: 0 },
        onwarning: (warning) => warnings.push(warning),
      })
      expect(warnings.map(({ code }) => code)).toEqual(['WEBRTC_MISSING'])
      expect(network.multiaddrs()).toHaveLength(1)
      await network.close()
    } finally {
      vi.doUnmock('@libp2p/webrtc')
    }
  })
})
