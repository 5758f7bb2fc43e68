/**
 * `/igor/order/1.0.0` and `/igor/message/1.0.0`: an owner's signed wish, and a message for an inbox,
 * brought to the node that has authority. Answered when committed.
 *
 * @module
 */
import { MAX_ORDER_BYTES, readOrder, type SignedOrder } from '@igor/lineage'
import type { Context } from '../agent/context.ts'
import { ID_BYTES, MAX_MESSAGE_BYTES } from '../agent/host-part.ts'
import type { Move } from '../api.ts'
import { IgorError } from '../errors.ts'
import type { Channel } from '../platform.ts'
import { hear, hearAnswer, say, sayError } from './wire.ts'

export const ORDER_PROTOCOL = '/igor/order/1.0.0'
export const MESSAGE_PROTOCOL = '/igor/message/1.0.0'

/** A move may copy 64 MiB first. */
const MOVE_MS = 6 * 60_000
/** A message's own bytes and its envelope. */
const MAX_MESSAGE_FRAME = MAX_MESSAGE_BYTES + 1024

export const serveOrders =
  (context: Context, apply: (order: SignedOrder, peer: string) => Promise<Move | undefined>) =>
  async (channel: Channel): Promise<void> => {
    const request = await hear(channel, { clock: context.clock, signal: context.signal })
    if (request === undefined) return
    try {
      const move = await apply(readGiven(request.bytes('order', MAX_ORDER_BYTES)), channel.peer)
      await say(channel, {
        type: 'applied',
        ...(move === undefined
          ? {}
          : { from: move.from, to: move.to, tick: move.tick, downtimeUs: Math.round(move.downtimeMs * 1000) }),
      })
    } catch (error) {
      await sayError(channel, error)
    }
    await channel.close()
  }

const readGiven = (bytes: Uint8Array): SignedOrder => {
  try {
    return readOrder(bytes)
  } catch (cause) {
    throw new IgorError('BAD_ORDER', cause instanceof Error ? cause.message : 'that is no order', { cause })
  }
}

/** @returns the move, for a move order */
export const sendOrder = async (
  context: Context,
  host: string,
  order: SignedOrder,
  signal?: AbortSignal,
): Promise<Move | undefined> => {
  const channel = await context.network.open(host, ORDER_PROTOCOL, signal ? { signal } : {})
  try {
    await say(channel, { type: 'order', order: order.bytes }, signal)
    const moves = order.order.kind === 'move'
    const answer = await hearAnswer(channel, {
      clock: context.clock,
      ...(moves ? { ms: MOVE_MS } : {}),
      ...(signal ? { signal } : {}),
    })
    if (!moves) return undefined
    return {
      agent: order.order.agent,
      from: answer.text('from', 128),
      to: answer.text('to', 128),
      tick: answer.count('tick'),
      downtimeMs: answer.count('downtimeUs') / 1000,
    }
  } finally {
    await channel.close().catch(() => {})
  }
}

export const serveMessages =
  (context: Context, deliver: (agent: string, id: Uint8Array, message: Uint8Array, peer: string) => Promise<void>) =>
  async (channel: Channel): Promise<void> => {
    const request = await hear(channel, { clock: context.clock, signal: context.signal, max: MAX_MESSAGE_FRAME })
    if (request === undefined) return
    try {
      await deliver(
        request.text('agent', 128),
        request.bytes('id', ID_BYTES, true),
        request.bytes('message', MAX_MESSAGE_BYTES),
        channel.peer,
      )
      await say(channel, { type: 'committed' })
    } catch (error) {
      await sayError(channel, error)
    }
    await channel.close()
  }

export const sendMessage = async (
  context: Context,
  host: string,
  agent: string,
  id: Uint8Array,
  message: Uint8Array,
  signal?: AbortSignal,
): Promise<void> => {
  const channel = await context.network.open(host, MESSAGE_PROTOCOL, signal ? { signal } : {})
  try {
    await say(channel, { type: 'message', agent, id, message }, signal)
    await hearAnswer(channel, { clock: context.clock, ...(signal ? { signal } : {}) })
  } finally {
    await channel.close().catch(() => {})
  }
}
