/** Where a witness keeps what in its store. @module */

const hex = (n: number): string => n.toString(16).padStart(14, '0')

export const witnessKeys = {
  /** Vital: the head's row, compared and swapped. */
  head: (agent: string): string => `vital/witness/${agent}`,
  heads: 'vital/witness/',
  record: (agent: string, epoch: number, seq: number): string => `witness/${agent}/record/${hex(epoch)}.${hex(seq)}`,
  records: (agent: string): string => `witness/${agent}/record/`,
  block: (agent: string, digest: string): string => `witness/${agent}/block/${digest}`,
  blocks: (agent: string): string => `witness/${agent}/block/`,
  /** With several relays: the incarnation of the store that they share. */
  incarnation: 'vital/witness-store',
} as const
