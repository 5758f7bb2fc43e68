import type { CID } from 'multiformats/cid'
import { LineageError } from './errors.ts'
import { keyOfDid } from './identity.ts'
import {
  byKind,
  cid,
  DAG_CBOR,
  decodeAs,
  did,
  encodeAs,
  int64,
  literal,
  natural,
  nullable,
  object,
  peerId,
  RAW,
} from './schema.ts'
import { decodeSigned, encodeSigned, ORDER_DOMAIN, type Sign, signBody, verifySigned } from './signing.ts'
import type { Order, Signed } from './types.ts'

/** Of an encoded, signed order; leaves room for kinds to come. */
export const MAX_ORDER_BYTES = 1024
/** Orders that one record applies. */
export const MAX_ORDERS = 16

export interface SignedOrder {
  readonly order: Order
  readonly signed: Signed
  /** What a record embeds. */
  readonly bytes: Uint8Array
}

type Of<K extends Order['kind']> = { readonly agent: string; readonly n: number; readonly kind: K }

const readOrderBody = byKind<Order>({
  move: object<Of<'move'> & { readonly to: string }>({ agent: did, n: natural, kind: literal('move'), to: peerId }),
  witness: object<Of<'witness'> & { readonly to: string | null }>({
    agent: did,
    n: natural,
    kind: literal('witness'),
    to: nullable(peerId),
  }),
  fund: object<Of<'fund'> & { readonly amount: bigint }>({
    agent: did,
    n: natural,
    kind: literal('fund'),
    amount: (value, where) => {
      const amount = int64(value, where)
      if (amount === 0n) throw new LineageError('BAD_FIELD', `${where} must be more than nothing`)
      return amount
    },
  }),
  upgrade: object<Of<'upgrade'> & { readonly module: CID }>({
    agent: did,
    n: natural,
    kind: literal('upgrade'),
    module: cid(RAW, DAG_CBOR),
  }),
  pause: object<Of<'pause'>>({ agent: did, n: natural, kind: literal('pause') }) as never,
  resume: object<Of<'resume'>>({ agent: did, n: natural, kind: literal('resume') }) as never,
  retire: object<Of<'retire'>>({ agent: did, n: natural, kind: literal('retire') }) as never,
})

/**
 * @param sign with the agent's key
 * @throws LineageError BAD_FIELD | BAD_PEER_ID | BAD_DID | BAD_SIGNATURE
 */
export async function makeOrder(order: Order, sign: Sign): Promise<SignedOrder> {
  const signed = await signBody(ORDER_DOMAIN, encodeAs(readOrderBody, order, 'order', MAX_ORDER_BYTES), sign)
  return { order, signed, bytes: encodeSigned(signed) }
}

/** Everything but the signature. */
export function decodeOrder(encoded: Uint8Array): SignedOrder {
  const signed = decodeSigned(encoded, MAX_ORDER_BYTES)
  return { order: decodeAs(readOrderBody, signed.body, 'order', MAX_ORDER_BYTES), signed, bytes: encoded }
}

/**
 * Decodes and checks the signature of the agent's key. Whether `n` is new is the chain's to say.
 *
 * @throws LineageError TOO_LARGE | BAD_ENCODING | BAD_FIELD | BAD_PEER_ID | BAD_DID | BAD_SIGNATURE
 */
export function readOrder(encoded: Uint8Array): SignedOrder {
  const decoded = decodeOrder(encoded)
  if (!verifySigned(ORDER_DOMAIN, decoded.signed, keyOfDid(decoded.order.agent))) {
    throw new LineageError('BAD_SIGNATURE', `the order is not signed by the key of ${decoded.order.agent}`)
  }
  return decoded
}
