export * from './api.ts'
export * from './errors.ts'
export * from './platform.ts'
export { checkBatch, checkKey, checkPrefix, MAX_BATCH, MAX_BATCH_KEYS, MAX_KEY, MAX_VALUE, VITAL_PREFIX } from './store/limits.ts'
