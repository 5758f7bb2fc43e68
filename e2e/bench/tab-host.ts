/**
 * The page of a bench: a node, led from outside through `globalThis.bench`.
 *
 * @module
 */
import { createNode } from '@igor/browser'
import { type Asked, keepStamp, makeAnswer, type Stamps, type Told } from '../../packages/nodejs/bench/answer.ts'

export interface Bench {
  readonly peer: string
  ask(asked: Asked): Promise<Told>
}

declare global {
  var bench: (relay: string) => Promise<string>
  var ask: (asked: Asked) => Promise<Told>
}

globalThis.bench = async (relay) => {
  const stamps: Stamps = { first: undefined, last: 0 }
  new BroadcastChannel('stamps').onmessage = ({ data }) => keepStamp(stamps, data)
  const node = await createNode({ relays: [relay], workerUrl: '/worker.js', clockWorkerUrl: '/clock-worker.js' })
  globalThis.ask = makeAnswer(node, stamps)
  return node.id
}
