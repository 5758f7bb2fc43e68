/**
 * A holder's last words, signed beforehand: it goes away (docs/design.md, section 6, "Release"). They give up no
 * authority: they shorten the lease.
 *
 * @module
 */
import { decodeSigned, encodeSigned, keyOfPeerId, type Sign, signBody, verifySigned } from '@igor/lineage'
import { decode, encode } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { IgorError } from '../errors.ts'

const RELEASE_DOMAIN = 'igor/release/1'
/** The largest has about 350. */
export const MAX_RELEASE_BYTES = 512

export interface Release {
  readonly agent: string
  readonly epoch: number
  /** The last record that the witness cosigned. */
  readonly head: CID
  /** 16 bytes: the lease, as the witness named it. */
  readonly lease: Uint8Array
  /** Peer id of the holder. */
  readonly by: string
}

/** @param sign with the node key of `release.by` */
export const makeRelease = async (release: Release, sign: Sign): Promise<Uint8Array> =>
  encodeSigned(await signBody(RELEASE_DOMAIN, encode(release), sign))

/** @throws IgorError BAD_MESSAGE */
export const readRelease = (bytes: Uint8Array): Release => {
  try {
    const signed = decodeSigned(bytes, MAX_RELEASE_BYTES)
    const { agent, epoch, head, lease, by } = decode<Record<keyof Release, unknown>>(signed.body)
    const cid = CID.asCID(head)
    if (
      typeof agent === 'string' &&
      Number.isSafeInteger(epoch) &&
      cid !== null &&
      lease instanceof Uint8Array &&
      typeof by === 'string' &&
      verifySigned(RELEASE_DOMAIN, signed, keyOfPeerId(by))
    )
      return { agent, epoch: epoch as number, head: cid, lease, by }
  } catch (cause) {
    throw new IgorError('BAD_MESSAGE', 'that is no release of an agent', { cause })
  }
  throw new IgorError('BAD_MESSAGE', 'that release of an agent is not signed by its holder')
}
