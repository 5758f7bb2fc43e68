import { networkSuite } from '@igor/core/testing'
import { describe } from 'vitest'
import { createNetwork } from './index.ts'
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
