export * from './api.ts'
export * from './errors.ts'
export type { Residence } from './identity.ts'
export { type Manifest, parseManifest } from './manifest.ts'
export { agentNameOf, nodeNameOf } from './names.ts'
export { besideNetwork } from './network/beside.ts'
export { createMemoryHub, type MemoryHub } from './network/memory-hub.ts'
export { openForks } from './node/forks.ts'
export { createLogOrder, type LogOrder } from './node/log-order.ts'
export { type CoreNodeOptions, createCoreNode } from './node/node.ts'
export { type Belongings, belongingsOf, emptySlot, type WardOptions } from './node/ward.ts'
export * from './platform.ts'
export { type JudgePlatform, verifyFile } from './replay/verify.ts'
export {
  checkBatch,
  checkKey,
  checkPrefix,
  MAX_BATCH,
  MAX_BATCH_KEYS,
  MAX_KEY,
  MAX_VALUE,
  MAX_VITAL,
  VITAL_PREFIX,
} from './store/limits.ts'
export { openLogStore } from './store/log-store.ts'
export { MAX_LAST_WORDS, packLastWords, readLastWords } from './witness/last-words.ts'
export { type WitnessOffice, witnessOffice } from './witness/office.ts'
