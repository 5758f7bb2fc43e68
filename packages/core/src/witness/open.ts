/**
 * The witness that a node serves: with its own key and store, or one of several that share both.
 *
 * @module
 */
import { peerIdOf } from '@igor/lineage'
import type { Context } from '../agent/context.ts'
import type { WitnessOptions } from '../api.ts'
import { ConflictError, IgorError } from '../errors.ts'
import type { Store } from '../platform.ts'
import { witnessKeys } from './keys.ts'
import { openWitness, type ServiceOptions, type WitnessService } from './service.ts'

const INCARNATION_BYTES = 16
const SEED_BYTES = 32

export const openOwnWitness = async (
  context: Pick<Context, 'clock' | 'crypto' | 'store' | 'peer' | 'sign' | 'incarnation'>,
  options: WitnessOptions,
  onother?: ServiceOptions['onother'],
): Promise<WitnessService> => {
  const { clock, crypto, shared } = { ...context, shared: options.shared }
  const told = onother === undefined ? {} : { onother }
  if (shared === undefined) {
    const { store, peer, sign, incarnation } = context
    return openWitness({ clock, crypto, store, id: peer, sign, incarnation, options, ...told })
  }
  if (shared.seed.length !== SEED_BYTES)
    throw new IgorError('BAD_REQUEST', `a witness key has ${SEED_BYTES} bytes; this one has ${shared.seed.length}`)
  const signer = await crypto.signer(shared.seed)
  const { store } = shared
  return openWitness({
    clock,
    crypto,
    store,
    id: peerIdOf(signer.publicKey),
    sign: (message) => signer.sign(message),
    incarnation: await sharedIncarnation(store, crypto.random(INCARNATION_BYTES)),
    options,
    ...told,
  })
}

/** Made with the shared store, by whoever comes first. */
const sharedIncarnation = async (store: Store, fresh: Uint8Array): Promise<Uint8Array> => {
  const known = await store.get(witnessKeys.incarnation)
  if (known !== undefined) return known
  try {
    await store.commit({ put: [[witnessKeys.incarnation, fresh]], expect: [[witnessKeys.incarnation, undefined]] })
    return fresh
  } catch (error) {
    if (error instanceof ConflictError) return sharedIncarnation(store, fresh)
    throw error
  }
}
