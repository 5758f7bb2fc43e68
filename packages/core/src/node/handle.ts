/**
 * A handle on one agent that works wherever the agent lives: here at once, elsewhere by order,
 * message and watch, following it when it moves.
 *
 * @module
 */
import { type LineageRecord, makeOrder, type Order, readReady } from '@igor/lineage'
import { nowMs } from '../agent/context.ts'
import { ID_BYTES, MAX_MESSAGE_BYTES } from '../agent/host-part.ts'
import type { Agent, AgentState, ExportOptions, Move, Passport, Verification, VerifyOptions, Waiting } from '../api.ts'
import { IgorError } from '../errors.ts'
import { packFile } from '../files/file.ts'
import { type Puller, pullFrom } from '../protocols/blocks.ts'
import { sendMessage, sendOrder } from '../protocols/order.ts'
import { verifyGently } from '../protocols/verify-gently.ts'
import { makeProof } from '../protocols/watch.ts'
import { inTime } from '../protocols/wire.ts'
import { replay } from '../replay/replay.ts'
import { passportOf } from '../replay/verify.ts'
import { gather } from './evidence.ts'
import { changedOr, follow } from './follow.ts'
import type { Handles } from './handles.ts'

/** How long a message or order looks for an agent that is on its way somewhere. */
const FIND_MS = 20_000
/** How long a host's word on what it was ordered is waited for: it says it within 200 ms. */
const HEAR_MS = 3000
/** A file waits so long for a witness; it can be asked for again. */
const COSIGN_MS = 20_000
/** Between looks: an agent that moves is back in milliseconds. */
const LOOK_MS = 150

/** An order without whom it is for. */
type Wish = Order extends infer O ? (O extends Order ? Omit<O, 'agent' | 'n'> : never) : never

/** The agent moved on between looking and asking: look again. */
const isPassing = (error: unknown): boolean =>
  error instanceof IgorError &&
  ['NOT_AUTHORITATIVE', 'HANDOFF_PENDING', 'PEER_UNREACHABLE', 'CHANNEL_FAILED', 'NODE_STOPPED'].includes(error.code)

export const createHandle = (id: string, node: Handles): Agent => {
  const { context, residents, owner } = node
  const { clock } = context

  /** Tries at the current host until it works, or fails for a reason that will not pass. */
  const atHost = async <T>(
    what: (host: string | undefined) => Promise<T>,
    signal?: AbortSignal,
    patience = FIND_MS,
  ): Promise<T> => {
    const until = clock.elapsed() + patience
    for (;;) {
      signal?.throwIfAborted()
      const { here, host, epoch, state, name, reason } = node.status(id)
      if (state === 'retired') throw new IgorError('NOT_AUTHORITATIVE', `${name} is retired: it is nowhere any more`)
      if (state === 'halted') throw new IgorError('AGENT_HALTED', `${name} is halted: ${reason ?? 'its owner has to recover it'}`)
      try {
        if (!here) await node.hosts.assure(id, host, epoch, await proofFor(), signal)
        return await what(here ? undefined : host)
      } catch (error) {
        if (!isPassing(error) || clock.elapsed() >= until) throw error
        await clock.sleep(LOOK_MS, signal)
      }
    }
  }

  const order = async (wish: Wish, signal?: AbortSignal): Promise<Move | undefined> => {
    const sign = owner.signer(id)
    // A move is not repeated blindly: it may have happened.
    const patience = wish.kind === 'move' ? 0 : FIND_MS
    const give = async (n: number): Promise<Move | undefined> => {
      const signed = await makeOrder({ agent: id, n, ...wish } as Order, sign)
      return atHost(
        (host) => (host === undefined ? node.apply(signed) : sendOrder(context, host, signed, signal)),
        signal,
        patience,
      )
    }
    const n = owner.nextOrder(id, nowMs(clock))
    try {
      return await give(n)
    } catch (error) {
      if (!(error instanceof IgorError) || error.code !== 'BAD_ORDER') throw error
      // The owner ordered from elsewhere, by a clock that is ahead of this one.
      const { lastOrder } = await verifyGently(context, await history(signal))
      if (lastOrder < n) throw error
      return give(owner.nextOrder(id, lastOrder + 1))
    }
  }

  const proofFor = async (): Promise<Uint8Array | undefined> =>
    owner.owns(id) === true ? makeProof(id, context.peer, nowMs(clock), owner.signer(id)) : undefined

  const history = async (signal?: AbortSignal): Promise<readonly LineageRecord[]> => {
    const ledger = residents.ledger(id)
    if (ledger !== undefined && ledger.row.state !== 'retired') return ledger.records
    const { host } = node.status(id)
    if (host === context.peer && ledger !== undefined) return ledger.records
    let puller: Puller | undefined
    try {
      puller = await pullFrom(context, host, false, signal)
      const proof = await proofFor()
      return await puller.records(id, proof === undefined ? {} : { proof })
    } catch (error) {
      if (ledger !== undefined) return ledger.records
      throw error
    } finally {
      await puller?.close().catch(() => {})
    }
  }

  const exportTo = async (to: string | Uint8Array, signal?: AbortSignal): Promise<void> => {
    const sign = owner.signer(id)
    const bytes = typeof to === 'string' ? await node.requestReady(to, signal) : to
    let target: string
    try {
      const { ready } = readReady(bytes)
      if (ready.expiry < nowMs(clock))
        throw new IgorError('BAD_FILE', 'that ready has expired: ask the node for a new one (igor id --ready)')
      if (ready.agent !== null && ready.agent !== id)
        throw new IgorError('BAD_FILE', `that ready is for ${ready.agent}: ask the node for one of this agent`)
      target = ready.to
    } catch (error) {
      if (error instanceof IgorError) throw error
      throw new IgorError('BAD_FILE', 'that is not a ready of a node: make one there with igor id --ready', { cause: error })
    }
    if (target === context.peer) throw new IgorError('BAD_REQUEST', `${id} lives at that node already`)
    const n = owner.nextOrder(id, Math.max(nowMs(clock), (residents.ledger(id)?.lastOrder ?? 0) + 1))
    const signed = await makeOrder({ agent: id, n, kind: 'move', to: target }, sign)
    await residents.packUp(id, bytes, [signed.bytes])
  }

  /** The order is committed; its host's next word says so here too, unless that is lost. */
  const heardOf = async (wanted: (state: AgentState) => boolean): Promise<void> => {
    const until = clock.elapsed() + HEAR_MS
    while (!wanted(node.status(id).state) && clock.elapsed() < until) await changedOr(node, LOOK_MS, context.signal)
  }

  return {
    id,
    get status() {
      return node.status(id)
    },

    watch: (signal) => follow(id, node, proofFor, signal),

    send: async (message, options: Waiting = {}) => {
      const bytes = typeof message === 'string' ? new TextEncoder().encode(message) : message
      if (bytes.length > MAX_MESSAGE_BYTES) {
        throw new IgorError('BAD_MESSAGE', `a message has at most ${MAX_MESSAGE_BYTES} bytes; this one has ${bytes.length}`)
      }
      const key = context.crypto.random(ID_BYTES)
      await atHost(
        (host) =>
          host === undefined ? node.deliver(id, key, bytes) : sendMessage(context, host, id, key, bytes, options.signal),
        options.signal,
      )
    },

    moveTo: async (peer, options = {}) => {
      owner.signer(id)
      const target = await node.resolve(peer, options.signal)
      // On its way from here it lives nowhere yet: who answers the order says so.
      if (node.status(id).host === target && node.status(id).state !== 'moving')
        throw new IgorError('BAD_REQUEST', `${node.status(id).name} lives there already`)
      const move = await order({ kind: 'move', to: target }, options.signal)
      if (move === undefined) throw new IgorError('HANDOFF_FAILED', 'the host did not say how the move went')
      return move
    },
    pause: async (options = {}) => {
      await order({ kind: 'pause' }, options.signal)
      await heardOf((state) => state === 'paused').catch(() => {})
    },
    resume: async (options = {}) => {
      await order({ kind: 'resume' }, options.signal)
      await heardOf((state) => state !== 'paused').catch(() => {})
    },
    fund: async (amount, options = {}) => {
      if (amount <= 0n) throw new IgorError('BAD_REQUEST', `funds are at least 1 microcent, not ${amount}`)
      await order({ kind: 'fund', amount }, options.signal)
    },
    upgrade: async (module, options = {}) => {
      owner.signer(id)
      const offered = node.upgrades.offer(id, module)
      try {
        await order({ kind: 'upgrade', module: offered.cid }, options.signal)
      } finally {
        offered.withdraw()
      }
    },
    changeWitness: async (peer, options = {}) => {
      owner.signer(id)
      const to = peer === null ? null : node.witnessOf(await node.resolve(peer, options.signal))
      await order({ kind: 'witness', to }, options.signal)
    },
    retire: async (options = {}) => void (await order({ kind: 'retire' }, options.signal)),

    export: async (options: ExportOptions = {}) => {
      const ledger = residents.ledger(id)
      const { here, host, name } = node.status(id)
      if (ledger === undefined || !here) {
        throw new IgorError('NOT_AUTHORITATIVE', `${name} lives at ${host}: export it there, or move it here first`)
      }
      // Once packed up for a node the same file can be made again until that node has answered.
      if (options.to !== undefined && ledger.row.state === 'active-owner') await exportTo(options.to, options.signal)
      // Nobody takes what its witness has not cosigned.
      if (ledger.row.state === 'handoff-pending')
        await inTime(clock, COSIGN_MS, `the witness of ${name}`, residents.committed(id), options.signal)
      return packFile(context, ledger, residents.hosted(id)?.atState ?? ((task) => task()))
    },

    passport: async (options = {}): Promise<Passport> => {
      return passportOf(await verifyGently(context, await history(options.signal)))
    },

    verify: async ({ replay: runs = false, ...options }: VerifyOptions = {}): Promise<Verification> => {
      if (!runs) return passportOf(await verifyGently(context, await history(options.signal)))
      const evidence = await gather({ context, residents, id, host: node.status(id).host, proof: await proofFor(), ...options })
      try {
        const chain = await verifyGently(context, evidence.records)
        const { records, read } = evidence
        const signal = AbortSignal.any([context.signal, ...(options.signal === undefined ? [] : [options.signal])])
        const found = await node.judge((judge) => replay({ chain, records }, read, judge, { ...options, signal }))
        return { ...passportOf(chain), replay: found }
      } finally {
        await evidence.done()
      }
    },
  }
}
