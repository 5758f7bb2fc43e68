/**
 * Who this node is: its key, its store's incarnation, and the ring of owner seeds.
 *
 * @module
 */
import { decode, encode } from '@ipld/dag-cbor'
import { IgorError } from './errors.ts'
import { keys } from './keys.ts'
import type { Crypto, Store } from './platform.ts'

export interface Identity {
  /** Ed25519 seed of the node's libp2p key, 32 bytes. */
  readonly seed: Uint8Array
  /** 16 random bytes, made with the store; another one after the store was found at another place. */
  readonly incarnation: Uint8Array
  /** Where the store was when it took this incarnation. */
  readonly residence: string
  /** True if the store was found elsewhere than it was made: its agents without witness must halt. */
  readonly displaced: boolean
}

const SEED_BYTES = 32
const INCARNATION_BYTES = 16

const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

interface Stored {
  readonly v: 1
  readonly seed: Uint8Array
  readonly incarnation: Uint8Array
  readonly residence: string
  /** Found elsewhere, and its agents do not stand still yet: a start that is cut short must not make it forget. */
  readonly displaced?: true
}

const readStored = (bytes: Uint8Array): Stored => {
  const value = decode<Partial<Stored>>(bytes)
  if (value.v !== 1)
    throw new IgorError('STORE_VERSION', 'this store was written by a newer version of Igor: update Igor to open it')
  if (
    !(value.seed instanceof Uint8Array) ||
    value.seed.length !== SEED_BYTES ||
    !(value.incarnation instanceof Uint8Array) ||
    value.incarnation.length !== INCARNATION_BYTES ||
    typeof value.residence !== 'string'
  )
    throw new IgorError('STORE_DAMAGED', 'the node identity in this store cannot be read')
  return value as Stored
}

/** What tells a store's place from that of a copy: machine and folder, or a twin beside the database. */
export interface Residence {
  /** Undefined: not known here, which is no evidence of a copy. */
  read(): string | undefined
  /** Told what the store took down, for a twin that is kept beside it. */
  write?(residence: string): void
}

/** Reads the node's identity, making it at first use. */
export const openIdentity = async (store: Store, crypto: Crypto, slot: string, place?: Residence): Promise<Identity> => {
  const identity = await readOrMake(store, crypto, slot, place?.read())
  place?.write?.(identity.residence)
  return identity
}

const readOrMake = async (store: Store, crypto: Crypto, slot: string, residence: string | undefined): Promise<Identity> => {
  const key = keys.identity(slot)
  const bytes = await store.get(key)
  const save = async (identity: Stored): Promise<void> => store.commit({ put: [[key, encode(identity)]], expect: [[key, bytes]] })
  if (bytes === undefined) {
    const fresh: Stored = {
      v: 1,
      seed: crypto.random(SEED_BYTES),
      incarnation: crypto.random(INCARNATION_BYTES),
      residence: residence ?? toHex(crypto.random(INCARNATION_BYTES)),
    }
    await save(fresh)
    return { ...fresh, displaced: false }
  }
  const stored = readStored(bytes)
  if (residence === undefined || residence === stored.residence) return { ...stored, displaced: stored.displaced === true }
  const moved: Stored = { ...stored, incarnation: crypto.random(INCARNATION_BYTES), residence, displaced: true }
  await save(moved)
  return { ...moved, displaced: true }
}

/** Says that what had to stand still after the store was found elsewhere does so. */
export const settleIdentity = async (store: Store, slot: string): Promise<void> => {
  const key = keys.identity(slot)
  const bytes = await store.get(key)
  if (bytes === undefined) return
  const { displaced: _, ...settled } = readStored(bytes)
  await store.commit({ put: [[key, encode(settled)]], expect: [[key, bytes]] })
}

/** More seeds than this in one ring mean that something imports in a loop. */
const MAX_SEEDS = 256

/** The owner seeds of this store, oldest first; the first one is made at first use. */
export const readOwnerSeeds = async (store: Store, crypto: Crypto): Promise<readonly Uint8Array[]> => {
  const bytes = await store.get(keys.ownerSeeds)
  if (bytes !== undefined) return decode<Uint8Array[]>(bytes)
  const first = [crypto.random(SEED_BYTES)]
  try {
    await store.commit({ put: [[keys.ownerSeeds, encode(first)]], expect: [[keys.ownerSeeds, undefined]] })
    return first
  } catch (error) {
    // Another tab of this browser made it in the same moment: its seed is ours too.
    if (error instanceof IgorError && error.code === 'STORE_CONFLICT') return readOwnerSeeds(store, crypto)
    throw error
  }
}

/** Adds a seed to the ring. Importing one that is there changes nothing. */
export const addOwnerSeed = async (store: Store, crypto: Crypto, seed: Uint8Array): Promise<readonly Uint8Array[]> => {
  if (seed.length !== SEED_BYTES)
    throw new IgorError('BAD_REQUEST', `an owner key has ${SEED_BYTES} bytes; this one has ${seed.length}`)
  const ring = await readOwnerSeeds(store, crypto)
  if (ring.some((one) => toHex(one) === toHex(seed))) return ring
  if (ring.length >= MAX_SEEDS) throw new IgorError('QUOTA', `this node holds ${MAX_SEEDS} owner keys already`)
  const next = [...ring, seed]
  await store.commit({ put: [[keys.ownerSeeds, encode(next)]], expect: [[keys.ownerSeeds, encode(ring)]] })
  return next
}
