/**
 * Publish and subscribe by gossipsub (libp2p pubsub/gossipsub v1.1): messages are signed by their
 * author, checked, passed on, and delivered once.
 *
 * @module
 */
import { IgorError } from '@igor/core'
import { type GossipSub, gossipsub, type Message, type TopicValidatorFn, type TopicValidatorResult } from '@libp2p/gossipsub'

import type { NetworkWarning } from './options.ts'
import { reasonOf } from './signals.ts'

/** Gossip reaches everyone who listens, so it stays small; libp2p drops what is over about 4 MB without a word. */
export const MAX_GOSSIP = 64 * 1024
/** One gossipsub frame: several messages and control. */
const MAX_RPC = 1024 * 1024

type Handler = (message: Uint8Array, from: string) => void

export const createGossipsub: ReturnType<typeof gossipsub> = gossipsub({
  // A node alone has nobody to tell; that is no error.
  allowPublishToZeroTopicPeers: true,
  // In small networks everyone who subscribed is told at once, without waiting for the mesh to form.
  floodPublish: true,
  emitSelf: false,
  fallbackToFloodsub: false,
  ignoreDuplicatePublishError: true,
  maxInboundDataLength: MAX_RPC,
  // All tabs of a household or a test share an address; that is no reason to distrust them.
  scoreParams: { IPColocationFactorWeight: 0 },
})

export interface Gossip {
  publish(topic: string, message: Uint8Array): Promise<void>
  subscribe(topic: string, handler: Handler): () => void
  close(): void
}

const accept = 'accept' as TopicValidatorResult
const reject = 'reject' as TopicValidatorResult

const validate: TopicValidatorFn = (_peer, message) =>
  message.type === 'signed' && message.data.length <= MAX_GOSSIP ? accept : reject

export function createGossip(pubsub: GossipSub, warn: (warning: NetworkWarning) => void): Gossip {
  const handlers = new Map<string, Set<Handler>>()

  function onmessage({ detail }: CustomEvent<Message>): void {
    if (detail.type !== 'signed') return
    for (const handler of handlers.get(detail.topic) ?? []) {
      try {
        handler(detail.data, detail.from.toString())
      } catch (error) {
        // What a stranger sent must not end the process, whatever the handler makes of it.
        warn({ code: 'HANDLER_FAILED', message: `a message of ${detail.from} on ${detail.topic}: ${reasonOf(error)}` })
      }
    }
  }

  pubsub.addEventListener('message', onmessage)

  return {
    async publish(topic, message) {
      if (message.length > MAX_GOSSIP) {
        throw new IgorError('BAD_MESSAGE', `a gossip message may have ${MAX_GOSSIP} bytes, not ${message.length}`)
      }
      await pubsub.publish(topic, message.slice())
    },
    subscribe(topic, handler) {
      const own: Handler = (message, from) => handler(message, from)
      let set = handlers.get(topic)
      if (set === undefined) {
        set = new Set()
        handlers.set(topic, set)
        pubsub.topicValidators.set(topic, validate)
        pubsub.subscribe(topic)
      }
      set.add(own)
      return () => {
        const current = handlers.get(topic)
        if (current === undefined || !current.delete(own) || current.size > 0) return
        handlers.delete(topic)
        pubsub.topicValidators.delete(topic)
        pubsub.unsubscribe(topic)
      }
    },
    close() {
      pubsub.removeEventListener('message', onmessage)
      handlers.clear()
    },
  }
}
