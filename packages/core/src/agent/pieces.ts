/**
 * What the row of a turn is made of: a piece for each agent that journaled something, end to end.
 *
 *     0  bytes of the agent's DID (u8)      17  where the piece begins in its open segment (u32)
 *     1  epoch (u53)                        21  bytes of the piece (u32)
 *     9  seq (u53)                          25  DID, then the piece: whole entries
 *
 * Epoch and seq are of the record that the open segment follows on. The store checks the bytes.
 *
 * @module
 */
import { IgorError } from '../errors.ts'
import { getKey, getUint53, putKey, putUint53, viewOf } from '../store/bytes.ts'

export interface Piece {
  readonly agent: string
  readonly epoch: number
  readonly seq: number
  readonly from: number
  readonly bytes: Uint8Array
}

const HEAD = 25

export const encodePiece = ({ agent, epoch, seq, from, bytes }: Piece): Uint8Array => {
  const encoded = new Uint8Array(HEAD + agent.length + bytes.length)
  const view = viewOf(encoded)
  encoded[0] = agent.length
  putUint53(view, 1, epoch)
  putUint53(view, 9, seq)
  view.setUint32(17, from, true)
  view.setUint32(21, bytes.length, true)
  putKey(encoded, HEAD, agent)
  encoded.set(bytes, HEAD + agent.length)
  return encoded
}

/** @throws IgorError STORE_DAMAGED */
export const decodePieces = (encoded: Uint8Array): Piece[] => {
  const pieces: Piece[] = []
  const view = viewOf(encoded)
  for (let at = 0; at < encoded.length; ) {
    const name = encoded[at] ?? 0
    const length = at + HEAD <= encoded.length ? view.getUint32(at + 21, true) : 0
    const end = at + HEAD + name + length
    if (end > encoded.length) throw new IgorError('STORE_DAMAGED', 'a row of a turn does not end where it should')
    pieces.push({
      agent: getKey(encoded, at + HEAD, name),
      epoch: getUint53(view, at + 1),
      seq: getUint53(view, at + 9),
      from: view.getUint32(at + 17, true),
      bytes: encoded.slice(at + HEAD + name, end),
    })
    at = end
  }
  return pieces
}
