/**
 * Where things stand in the store: one place that names every key.
 *
 * @module
 */

const hex = (n: number): string => n.toString(16).padStart(14, '0')

export const keys = {
  /** Vital: node key, incarnation and residence of one of the store's nodes. */
  identity: (slot: string): string => `vital/node/${slot}`,
  /** Which start of one of the store's nodes is the last: it alone writes. */
  boot: (slot: string): string => `boot/${slot}`,
  /** Vital: the ring of owner seeds; new agents use the first. */
  ownerSeeds: 'vital/owner-seeds',
  /** Vital: the authority row. Never deleted: it holds the highest epoch and slot. */
  authority: (agent: string): string => `vital/authority/${agent}`,
  authorities: 'vital/authority/',
  /** The fence: which slot of this store may write this agent. */
  owner: (agent: string): string => `agent/${agent}/owner`,
  /** A slot of the lineage: written once. */
  record: (agent: string, epoch: number, seq: number): string => `agent/${agent}/record/${hex(epoch)}.${hex(seq)}`,
  records: (agent: string): string => `agent/${agent}/record/`,
  /** A slot that this node used to refuse: written once, like a record's, though the agent never lived here. */
  refusal: (agent: string, epoch: number, seq: number): string => `agent/${agent}/refusal/${hex(epoch)}.${hex(seq)}`,
  /** Where a witness was reached last. */
  witnessAt: (witness: string): string => `witness-at/${witness}`,
  /** A proof that somebody forked an agent. */
  fork: (signer: string, agent: string): string => `fork/${signer}/${agent}`,
  forks: 'fork/',
  /** What ticks observed since the record of that slot, in rows. The first is there from the record on. */
  journalRow: (agent: string, epoch: number, seq: number, row: number): string =>
    `agent/${agent}/journal/${hex(epoch)}.${hex(seq)}.${row.toString(16).padStart(4, '0')}`,
  journal: (agent: string): string => `agent/${agent}/journal/`,
  /** What agents journaled in one turn of one of the store's nodes, as long as it is not in rows of their own. */
  turn: (slot: string, n: number): string => `turn/${slot}/${hex(n)}`,
  turns: (slot: string): string => `turn/${slot}/`,
  turnOf: (key: string): number => Number.parseInt(key.slice(key.lastIndexOf('/') + 1), 16),
  block: (agent: string, cid: string): string => `agent/${agent}/block/${cid}`,
  blocks: (agent: string): string => `agent/${agent}/block/`,
  /** Modules are shared by all agents that run them. */
  module: (cid: string): string => `module/${cid}`,
  modules: 'module/',
  /** Another value whenever an agent comes that runs one of the modules … */
  moduleUse: 'modules/used',
  /** … and whenever some are swept away. */
  moduleSweep: 'modules/swept',
} as const
