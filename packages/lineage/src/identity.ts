/**
 * Two spellings of an Ed25519 public key: an agent's `did:key` and a node's libp2p peer id.
 *
 * Sources: the did:key method (W3C CCG; multicodec 0xed, base58btc multibase) and the libp2p peer id
 * specification (identity multihash of the protobuf `PublicKey {Type: Ed25519, Data}`).
 *
 * @module
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { base58btc } from 'multiformats/bases/base58'
import { concatBytes, equalBytes, utf8Bytes } from './bytes.ts'
import { LineageError, type LineageErrorCode } from './errors.ts'

const KEY_BYTES = 32
/** Varint of multicodec ed25519-pub (0xed). */
const DID_PREFIX = Uint8Array.of(0xed, 0x01)
/** Identity multihash of 36 bytes; protobuf field 1 = 1 (Ed25519), field 2 = 32 bytes. */
const PEER_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)
/** Longest name decoded: base58 costs the square of its length. */
const MAX_NAME_LENGTH = 64
const AGENT_KEY_INFO = utf8Bytes('igor/agent-key/1')

function checkedKey(publicKey: Uint8Array): Uint8Array {
  if (!(publicKey instanceof Uint8Array) || publicKey.length !== KEY_BYTES) {
    throw new LineageError('BAD_KEY', 'an Ed25519 key has 32 bytes')
  }
  return publicKey
}

/** The key behind `prefix` in base58btc text; only the one spelling that encoding gives is taken. */
function decodeKey(text: string, base58: string, prefix: Uint8Array, code: LineageErrorCode, what: string): Uint8Array {
  const refused = () => new LineageError(code, `${JSON.stringify(String(text).slice(0, MAX_NAME_LENGTH))} is not ${what}`)
  if (base58.length === 0 || base58.length > MAX_NAME_LENGTH) throw refused()
  let bytes: Uint8Array
  try {
    bytes = base58btc.baseDecode(base58)
  } catch {
    throw refused()
  }
  const key = bytes.slice(prefix.length)
  if (key.length !== KEY_BYTES || !equalBytes(bytes.subarray(0, prefix.length), prefix)) throw refused()
  // Base58 decoders may take more than one text for the same bytes: names are compared as text.
  if (base58btc.baseEncode(bytes) !== base58) throw refused()
  return key
}

/**
 * @param publicKey Ed25519, 32 bytes
 * @returns `did:key:z6Mk…`
 */
export function didOf(publicKey: Uint8Array): string {
  return `did:key:z${base58btc.baseEncode(concatBytes(DID_PREFIX, checkedKey(publicKey)))}`
}

/** @throws LineageError BAD_DID unless it is exactly what `didOf` gives for some key */
export function keyOfDid(did: string): Uint8Array {
  const start = 'did:key:z'
  const rest = typeof did === 'string' && did.startsWith(start) ? did.slice(start.length) : ''
  return decodeKey(did, rest, DID_PREFIX, 'BAD_DID', 'a did:key of an Ed25519 key')
}

/**
 * @param publicKey Ed25519, 32 bytes
 * @returns `12D3Koo…`
 */
export function peerIdOf(publicKey: Uint8Array): string {
  return base58btc.baseEncode(concatBytes(PEER_PREFIX, checkedKey(publicKey)))
}

/** @throws LineageError BAD_PEER_ID unless it is exactly what `peerIdOf` gives for some key */
export function keyOfPeerId(peerId: string): Uint8Array {
  return decodeKey(peerId, typeof peerId === 'string' ? peerId : '', PEER_PREFIX, 'BAD_PEER_ID', 'a peer id of an Ed25519 key')
}

/**
 * The seed of an agent's key, from its owner's: one backed-up seed restores the keys of all agents
 * whose genesis can still be found. HKDF-SHA256 (RFC 5869), salt = nonce.
 *
 * @param ownerSeed 32 bytes, secret
 * @param genesisNonce 32 bytes, public, in the genesis record
 */
export function agentSeed(ownerSeed: Uint8Array, genesisNonce: Uint8Array): Uint8Array {
  checkedKey(ownerSeed)
  checkedKey(genesisNonce)
  return hkdf(sha256, ownerSeed, genesisNonce, AGENT_KEY_INFO, KEY_BYTES)
}

/** Ed25519 public key of a 32-byte seed (RFC 8032). */
export function publicKeyOf(seed: Uint8Array): Uint8Array {
  return ed25519.getPublicKey(checkedKey(seed))
}
