/**
 * `/igor/watch/1.0.0`: status, log and view of an agent that lives elsewhere. Read-only; a watcher
 * that is slow loses frames, never log lines before it falls too far behind.
 *
 * @module
 */
import { decodeSigned, encodeSigned, keyOfDid, type Sign, signBody, verifySigned } from '@igor/lineage'
import { decode, encode } from '@ipld/dag-cbor'
import type { Context } from '../agent/context.ts'
import type { AgentEvent, AgentState, AgentStatus } from '../api.ts'
import { IgorError } from '../errors.ts'
import { type Channel, MAX_FRAME } from '../platform.ts'
import { type Fields, fieldsOf, hear, say, sayError, violation } from './wire.ts'

export const WATCH_PROTOCOL = '/igor/watch/1.0.0'
export const PROOF_DOMAIN = 'igor/watch/1'

/** Events that wait for one watcher: a second of a chatty agent. */
const MAX_QUEUE = 256
/** An owner's proof is good for this long around its time: clocks differ. */
const PROOF_MS = 10 * 60_000

/** The owner's word that `peer` may watch its agent; bound to peer and time, so that it cannot be resent by others. */
export const makeProof = async (agent: string, peer: string, now: number, sign: Sign): Promise<Uint8Array> =>
  encodeSigned(await signBody(PROOF_DOMAIN, encode({ agent, peer, time: now }), sign))

export const checkProof = (agent: string, peer: string, now: number, bytes: Uint8Array): boolean => {
  const signed = decodeSigned(bytes)
  const said = decode<{ agent?: unknown; peer?: unknown; time?: unknown }>(signed.body)
  return (
    said.agent === agent &&
    said.peer === peer &&
    typeof said.time === 'number' &&
    Math.abs(now - said.time) <= PROOF_MS &&
    verifySigned(PROOF_DOMAIN, signed, keyOfDid(agent))
  )
}

const toWire = (event: AgentEvent): Record<string, unknown> => {
  switch (event.type) {
    case 'status': {
      const { capabilities, lastMove, ...flat } = event.status
      return { type: 'status', status: clean({ ...flat, capabilityList: capabilities.join(' ') }) }
    }
    case 'moved':
      return { type: 'moved', ...event.move, downtimeMs: undefined, downtimeUs: Math.round(event.move.downtimeMs * 1000) }
    case 'log':
    case 'view':
    case 'progress':
      return event
  }
}

const clean = (value: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined))

/** @param open starts the events of an agent that this peer may watch; throws NOT_OWNER, UNKNOWN_AGENT, NOT_AUTHORITATIVE */
export const serveWatch =
  (
    context: Context,
    open: (agent: string, peer: string, proof: Uint8Array | undefined, listener: (event: AgentEvent) => void) => () => void,
  ) =>
  async (channel: Channel): Promise<void> => {
    const request = await hear(channel, { clock: context.clock, signal: context.signal })
    if (request === undefined) return
    const queue: AgentEvent[] = []
    let ring: (() => void) | undefined
    let close = (): void => {}
    let ended = false
    const end = (): void => {
      ended = true
      ring?.()
    }
    try {
      const proof = request.has('proof') ? request.bytes('proof', 4096) : undefined
      close = open(request.text('agent', 128), channel.peer, proof, (event) => {
        // Of frames and status only the latest matters; a log that nobody reads is cut.
        const replaceable = event.type === 'view' || event.type === 'status'
        const at = replaceable ? queue.findIndex((one) => one.type === event.type) : -1
        if (at >= 0) queue.splice(at, 1)
        if (queue.length >= MAX_QUEUE) queue.shift()
        queue.push(event)
        ring?.()
      })
      context.signal.addEventListener('abort', end)
      void channel.receive(context.signal).then(end, end)
      while (!ended) {
        const event = queue.shift()
        if (event !== undefined) {
          // A frame of pixels is no small message: over a relayed connection only words go.
          if (event.type !== 'view' || channel.direct || event.view.kind === 'text')
            await say(channel, clean(toWire(event)) as { type: string })
        } else {
          await new Promise<void>((resolve) => {
            ring = resolve
          })
          ring = undefined
        }
      }
    } catch (error) {
      if (!ended) await sayError(channel, error).catch(() => {})
    } finally {
      context.signal.removeEventListener('abort', end)
      close()
      await channel.close().catch(() => {})
    }
  }

/** Events of an agent at `host`, until the signal or the host ends it. @throws what the host answers */
export async function* watchAt(
  context: Context,
  host: string,
  agent: string,
  proof: Uint8Array | undefined,
  signal: AbortSignal,
): AsyncGenerator<RemoteEvent> {
  const channel = await context.network.open(host, WATCH_PROTOCOL, { signal })
  try {
    await say(channel, { type: 'watch', agent, ...(proof === undefined ? {} : { proof }) }, signal)
    for (;;) {
      const frame = await channel.receive(signal)
      if (frame === undefined) return
      if (frame.length > MAX_FRAME) throw violation(host, 'an event that is too large')
      yield readEvent(host, agent, fieldsOf(host, frame), frame)
    }
  } finally {
    await channel.close().catch(() => {})
  }
}

/** What the host says of a status; what depends on the reader (owned, here) is the reader's to fill. */
export type RemoteStatus = Omit<AgentStatus, 'here' | 'owned' | 'resided' | 'lastMove'>
export type RemoteEvent = Exclude<AgentEvent, { type: 'status' }> | { readonly type: 'status'; readonly status: RemoteStatus }

const STATES: readonly AgentState[] = ['active', 'moving', 'halted', 'faulted', 'exhausted', 'paused', 'moved', 'retired']
const PHASES = ['offer', 'copy', 'stop', 'commit'] as const

const readEvent = (host: string, agent: string, fields: Fields, frame: Uint8Array): RemoteEvent => {
  const { type } = fields
  switch (type) {
    case 'log':
      return { type, tick: fields.count('tick'), time: fields.count('time'), text: fields.text('text', 8192) }
    case 'view': {
      const { view } = decode<{ view: Record<string, unknown> }>(frame)
      const { kind, bytes, width, height } = view
      if (
        (kind !== 'text' && kind !== 'rgba') ||
        !(bytes instanceof Uint8Array) ||
        !Number.isSafeInteger(width) ||
        !Number.isSafeInteger(height)
      ) {
        throw violation(host, 'a view that is none')
      }
      if (kind === 'rgba' && bytes.length !== (width as number) * (height as number) * 4)
        throw violation(host, 'a frame of another size than it says')
      return { type, tick: fields.count('tick'), view: { kind, bytes, width: width as number, height: height as number } }
    }
    case 'progress': {
      const phase = PHASES.find((one) => one === fields.text('phase', 16))
      if (phase === undefined) throw violation(host, 'a phase that is none')
      return { type, phase, done: fields.count('done'), total: fields.count('total') }
    }
    case 'moved':
      return {
        type,
        move: {
          agent,
          from: fields.text('from', 128),
          to: fields.text('to', 128),
          tick: fields.count('tick'),
          downtimeMs: fields.count('downtimeUs') / 1000,
        },
      }
    case 'status':
      return { type, status: readStatus(host, agent, frame) }
    case 'error':
      throw new IgorError(
        fields.text('code', 64) === 'NOT_OWNER' ? 'NOT_OWNER' : 'NOT_AUTHORITATIVE',
        fields.text('message', 2048),
      )
    default:
      throw violation(host, `an event of unknown type ${type}`)
  }
}

const readStatus = (host: string, agent: string, frame: Uint8Array): RemoteStatus => {
  const { status } = decode<{ status: Record<string, unknown> }>(frame)
  const fields = fieldsOf(host, encode({ type: 'status', ...status }))
  const state = STATES.find((one) => one === fields.text('state', 16))
  if (state === undefined) throw violation(host, 'a state that is none')
  const reason = fields.optionalText('reason', 1024)
  return {
    agent,
    name: fields.text('name', 128),
    state,
    ...(reason === undefined ? {} : { reason }),
    tick: fields.count('tick'),
    epoch: fields.count('epoch'),
    seq: fields.count('seq'),
    head: fields.text('head', 128),
    budget: fields.big('budget'),
    host: fields.text('host', 128),
    public: fields.flag('public'),
    ...(fields.has('born') ? { born: fields.count('born') } : {}),
    capabilities: fields.text('capabilityList', 1024).split(' ').filter(Boolean),
    inbox: fields.count('inbox'),
    memory: fields.count('memory'),
    ...(fields.has('committed') ? { committed: fields.count('committed') } : {}),
    ...(fields.has('leaseMs') ? { leaseMs: fields.count('leaseMs') } : {}),
    witness: fields.optionalText('witness', 128) ?? null,
  }
}
