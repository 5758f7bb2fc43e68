/**
 * A node in a process of its own, led over the process's channel: what `createNode` makes, but for workers that
 * stamp their ticks.
 *
 * @module
 */
import { createCoreNode, openLogStore, type Thread, type Threads } from '@igor/core'
import { createNetwork } from '@igor/libp2p'
import { nodeClock, nodeCrypto, nodeThreads, openFiles } from '../src/index.ts'
import { type Asked, keepStamp, makeAnswer, type Stamps, type Told } from './answer.ts'
import type { Stamp } from './stamp.ts'

const [, , dataDir = ''] = process.argv
const stamps: Stamps = { first: undefined, last: 0 }

const stampedThreads = (): Threads => {
  const threads = nodeThreads(new URL('./stamping-worker.ts', import.meta.url))
  return {
    parallelism: threads.parallelism,
    spawn: () => {
      const inner = threads.spawn()
      const thread: Thread = {
        onmessage: undefined,
        onexit: undefined,
        post: (message, transfer) => inner.post(message, transfer),
        terminate: () => inner.terminate(),
      }
      inner.onexit = (reason) => thread.onexit?.(reason)
      inner.onmessage = (message) => {
        if ((message as Stamp).type === 'stamp') keepStamp(stamps, message as Stamp)
        else thread.onmessage?.(message)
      }
      return thread
    },
  }
}

const crypto = nodeCrypto()
const node = await createCoreNode(
  {
    clock: nodeClock(),
    crypto,
    store: await openLogStore(await openFiles(dataDir), { random: (length) => crypto.random(length) }),
    threads: stampedThreads(),
    network: (seed) => createNetwork({ seed, listen: { tcp: 0, ws: 0 }, webrtc: false }),
  },
  { kind: 'server' },
)
const answer = makeAnswer(node, stamps)

process.on('message', (asked: Asked) => {
  answer(asked).then(
    (told) => process.send?.(told),
    (error: unknown) => process.send?.({ error: String(error) } satisfies Told),
  )
})
// Whoever led it is gone: so is its purpose.
process.on('disconnect', () => process.exit())
process.send?.({ peer: node.id, multiaddrs: node.multiaddrs })
