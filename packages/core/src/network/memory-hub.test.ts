import { networkSuite, STRANGER } from '../testing/network.ts'
import { createMemoryHub } from './memory-hub.ts'

networkSuite(async () => {
  const hub = createMemoryHub()
  const a = hub.join(new Uint8Array(32).fill(1))
  const b = hub.join(new Uint8Array(32).fill(2))
  return {
    a,
    b,
    deadAddress: `/memory/nobody/p2p/${STRANGER}`,
    close: async () => {
      await a.close()
      await b.close()
    },
  }
})
