// Made-up names and ids, the same in each run.
const LETTERS = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

const stretch = (seed: string, length: number): string => {
  let h = 0x811c9dc5
  let out = ''
  for (let i = 0; out.length < length; i++) {
    for (const c of `${seed}${i}`) h = Math.imul(h ^ c.charCodeAt(0), 0x01000193) >>> 0
    h = (h ^ (h >>> 13)) >>> 0
    out += LETTERS[h % LETTERS.length]
  }
  return out
}

export const peerId = (seed: string): string => `12D3KooW${stretch(seed, 44)}`
export const did = (seed: string): string => `did:key:z6Mk${stretch(seed, 44)}`
export const cid = (seed: string): string => `bafyrei${stretch(seed, 52).toLowerCase()}`
