/**
 * How an agent begins: what is asked for is checked, its witness is found, tick 0 runs, and its genesis is written.
 *
 * @module
 */
import { keyOfPeerId, plainText } from '@igor/lineage'
import { hangMs, startFuel } from '../agent/attempt.ts'
import { bear } from '../agent/birth.ts'
import { MAX_BUDGET, payableAt } from '../agent/budget.ts'
import type { Context } from '../agent/context.ts'
import { emptyHostPart, type HostPart } from '../agent/host-part.ts'
import type { HostedOptions } from '../agent/hosted.ts'
import type { Ledger } from '../agent/ledger.ts'
import { moduleRows } from '../agent/modules.ts'
import type { SpawnOptions } from '../api.ts'
import { IgorError } from '../errors.ts'
import type { Executor } from '../execution/executor.ts'
import { granted, type Manifest } from '../manifest.ts'
import { agentNameOf } from '../names.ts'
import type { Owner } from './owner.ts'

/** Of an agent's init bytes: one block. */
const MAX_INIT = 1024 * 1024
const MAX_NAME = 64
/** Between looks for a witness. */
const LOOK_MS = 250

/** @throws IgorError BAD_INIT, BAD_REQUEST */
export const checkSpawn = (given: SpawnOptions): void => {
  if ((given.init?.length ?? 0) > MAX_INIT)
    throw new IgorError('BAD_INIT', `init has at most ${MAX_INIT} bytes; this one has ${given.init?.length}`)
  if (given.budget !== undefined && (given.budget < 0n || given.budget > MAX_BUDGET)) {
    throw new IgorError('BAD_REQUEST', `a budget is 0 to ${MAX_BUDGET} microcents`)
  }
  const name = given.name?.trim()
  if (
    given.name !== undefined &&
    (name === undefined || name.length === 0 || name !== given.name || plainText(name, MAX_NAME) !== name)
  ) {
    throw new IgorError('BAD_REQUEST', `a name has 1 to ${MAX_NAME} characters, no space around it and no control characters`)
  }
}

/**
 * Peer id of the witness that a new agent will have: it must answer now, or the agent could never tick.
 *
 * @param patience milliseconds for which it is looked for: who serves it may not have said so yet
 */
export const chooseWitness = async (
  context: Context,
  given: SpawnOptions,
  manifest: Manifest,
  patience: number,
): Promise<string | null> => {
  const named = given.witness === undefined ? manifest.witness : given.witness
  if (named === null) {
    if (manifest.failover === 'never') return null
    throw new IgorError('BAD_MANIFEST', 'manifest: failover needs a witness: name one, or leave it out')
  }
  const id = named.split('/p2p/').at(-1) ?? named
  try {
    keyOfPeerId(id)
  } catch (cause) {
    throw new IgorError('BAD_MANIFEST', `manifest: witness must be a peer id, or a multiaddr that ends in one; not ${named}`, {
      cause,
    })
  }
  const { clock, links } = context
  const until = clock.elapsed() + patience
  for (;;) {
    try {
      await links.to(id, named === id ? [] : [named], given.signal)
      return id
    } catch (error) {
      given.signal?.throwIfAborted()
      if (clock.elapsed() >= until) throw error
      await clock.sleep(LOOK_MS, given.signal)
    }
  }
}

export interface Birth {
  readonly given: SpawnOptions
  readonly manifest: Manifest
  /** Peer id. */
  readonly witness: string | null
  readonly owner: Owner
  /** Its genesis is durable: it lives here from now on. */
  readonly onborn: (ledger: Ledger, init: Uint8Array, first: Pick<HostedOptions, 'placed' | 'born'>) => void
}

/** Runs tick 0 and writes what came of it. */
export const giveBirth = async (context: Context, executor: Executor, birth: Birth): Promise<Ledger> => {
  const { given, manifest, witness, owner, onborn } = birth
  const { cid, rows } = moduleRows(given.module)
  const module = cid.toString()
  const limits = { maxMemoryBytes: manifest.limits.maxMemoryBytes, granted: granted(manifest) }
  await executor.load(module, async () => given.module, limits)
  const born = owner.newAgent()
  const init = given.init ?? new Uint8Array()
  const time = context.clock.now()
  const budget = given.budget ?? 0n
  const limit = startFuel(manifest, payableAt(budget, context.price))
  const terms = { tick: 0, time, limit, price: context.price, balance: budget, receipts: [] }
  const attempt = { ...terms, root: born.nonce, messages: [] }
  const { placed, result } = await executor.place({ module, ...limits, init, tickMs: hangMs(manifest), attempt })
  try {
    if (result?.delta === undefined) throw new IgorError('HOST_FAULT', 'the worker did not answer with the first state')
    const part: HostPart = { ...emptyHostPart, time, kv: result.delta.kv ?? [] }
    const ledger = await bear(context, {
      agent: born.agent,
      nonce: born.nonce,
      name: given.name ?? agentNameOf(born.agent),
      module: cid,
      moduleRows: rows,
      manifest: manifest.bytes,
      init,
      witness,
      budget,
      start: { kind: 'start', header: { ...terms, attempt: 0, epoch: 1 }, fuel: result.fuel },
      sign: born.sign,
      delta: result.delta,
      host: part,
    })
    onborn(ledger, init, { placed, born: { result, time } })
    return ledger
  } catch (error) {
    executor.drop(placed)
    throw error
  }
}
