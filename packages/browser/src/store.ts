/**
 * The store of a tab: one IndexedDB database, shared by all tabs of the origin. Every batch is one
 * transaction, so IndexedDB's own isolation is what fences one tab from another (design section 6).
 *
 * @module
 */
import {
  type Batch,
  ConflictError,
  checkBatch,
  checkKey,
  checkPrefix,
  type Store,
  StoreClosedError,
  StoreDamagedError,
  type StoreUsage,
  VITAL_PREFIX,
} from '@igor/core'
import { promisifyRequest, type UseStore } from 'idb-keyval'
import { sameBytes } from './bytes.ts'
import { COPIES, type Connection, connect } from './database.ts'
import { isVital, mayBeVital, prefixRange } from './keys.ts'
import { readVital, sealVital } from './vital.ts'

/** Default name of the database; storage belongs to the origin, so one name is enough. */
export const DATABASE = 'igor'

/**
 * Opens (or makes) the store. Any number of tabs, and of stores in one page, may share it.
 *
 * A durable batch is on disk when `commit` resolves (`durability: 'strict'`). The browser may still
 * evict all of it at once unless persistence was granted: see `requestPersistence`.
 *
 * @param name of the database
 * @throws IgorError STORE_VERSION (written by a newer Igor) | STORE_BUSY (another tab keeps it from opening) | HOST_FAULT (storage is blocked)
 */
export async function openIdbStore(name: string = DATABASE): Promise<Store> {
  const connection = await connect(name)
  try {
    return makeStore(connection, !(await mend(connection)))
  } catch (error) {
    connection.close()
    throw error
  }
}

/** Repairs a damaged copy of a vital value from the intact one. @returns false when some value has no intact copy */
async function mend(connection: Connection): Promise<boolean> {
  let intact = true
  const range = prefixRange(VITAL_PREFIX)
  const scan: UseStore = (mode, callback) => connection.use(mode, 'strict', callback)
  const ailing = await scan('readonly', async (values) => {
    const copies = values.transaction.objectStore(COPIES)
    const [keys, firsts, copyKeys, seconds] = await Promise.all([
      promisifyRequest(values.getAllKeys(range)),
      promisifyRequest<unknown[]>(values.getAll(range)),
      promisifyRequest(copies.getAllKeys(range)),
      promisifyRequest<unknown[]>(copies.getAll(range)),
    ])
    const pairs = new Map<string, [unknown, unknown]>()
    keys.forEach((key, index) => {
      pairs.set(String(key), [firsts[index], undefined])
    })
    copyKeys.forEach((key, index) => {
      pairs.set(String(key), [pairs.get(String(key))?.[0], seconds[index]])
    })
    return [...pairs].filter(([key, [first, second]]) => readVital(key, first, second).state !== 'twice').map(([key]) => key)
  })
  if (ailing.length === 0) return true
  await scan('readwrite', async (values) => {
    const copies = values.transaction.objectStore(COPIES)
    for (const key of ailing) {
      // Read again: another tab may have mended or written it meanwhile.
      const [first, second] = await Promise.all([promisifyRequest(values.get(key)), promisifyRequest(copies.get(key))])
      const found = readVital(key, first, second)
      if (found.state === 'damaged') intact = false
      if (found.state !== 'once') continue
      values.put(found.sealed, key)
      copies.put(found.sealed, key)
    }
  })
  return intact
}

function makeStore(connection: Connection, damaged: boolean): Store {
  const running = new Set<Promise<unknown>>()

  /** Runs work in a transaction; `close` waits for it; a lost connection ends it. */
  function transact<T>(mode: IDBTransactionMode, durable: boolean, work: (values: IDBObjectStore) => Promise<T>): Promise<T> {
    const result = connection.use(mode, durable ? 'strict' : 'relaxed', work)
    running.add(result)
    const done = () => running.delete(result)
    result.then(done, done)
    return result
  }

  return {
    damaged,

    get: async (key) => {
      checkKey(key)
      return transact('readonly', true, async (values) => {
        if (!isVital(key)) return intactValue(key, await promisifyRequest<unknown>(values.get(key)))
        const copies = values.transaction.objectStore(COPIES)
        const [first, second] = await Promise.all([
          promisifyRequest<unknown>(values.get(key)),
          promisifyRequest<unknown>(copies.get(key)),
        ])
        const found = readVital(key, first, second)
        if (found.state === 'damaged') throw damagedKey(key)
        return found.value
      })
    },

    list: async (prefix) => {
      checkPrefix(prefix)
      return transact('readonly', true, async (values) => {
        const range = prefixRange(prefix)
        if (!mayBeVital(prefix)) return (await promisifyRequest(values.getAllKeys(range))).map(String)
        // A vital value whose first copy is lost altogether is still there.
        const copies = values.transaction.objectStore(COPIES)
        const both = await Promise.all([promisifyRequest(values.getAllKeys(range)), promisifyRequest(copies.getAllKeys(range))])
        return [...new Set(both.flat().map(String))].sort()
      })
    },

    commit: async (batch) => {
      checkBatch(batch)
      const durable = (batch.durable ?? true) || touchesVital(batch)
      await transact('readwrite', durable, (values) => write(values, batch))
    },

    usage: async (): Promise<StoreUsage> => {
      if (connection.closed) throw new StoreClosedError()
      const [estimate, persistent] = await Promise.all([navigator.storage.estimate(), navigator.storage.persisted()])
      return { used: estimate.usage ?? 0, ...(estimate.quota === undefined ? {} : { quota: estimate.quota }), persistent }
    },

    close: async () => {
      connection.close()
      await Promise.allSettled(running)
    },
  }
}

/**
 * The writes are asked for at once, behind the reads of the expectations: that saves a round trip,
 * and the values are cloned before the caller can change them. If an expectation fails the whole
 * transaction is undone before anyone could see any of it.
 */
async function write(values: IDBObjectStore, batch: Batch): Promise<void> {
  const transaction = values.transaction
  const copies = transaction.objectStore(COPIES)
  const checks = (batch.expect ?? []).map(async ([key, expected]) => {
    const wanted = expected?.slice()
    const [first, second] = await Promise.all([
      promisifyRequest<unknown>(values.get(key)),
      isVital(key) ? promisifyRequest<unknown>(copies.get(key)) : undefined,
    ])
    if (!isVital(key)) return sameBytes(intactValue(key, first), wanted) ? undefined : key
    const found = readVital(key, first, second)
    if (found.state === 'damaged') throw damagedKey(key)
    return sameBytes(found.value, wanted) ? undefined : key
  })
  try {
    for (const key of batch.remove ?? []) {
      values.delete(key)
      if (isVital(key)) copies.delete(key)
    }
    for (const [key, value] of batch.put ?? []) {
      if (isVital(key)) {
        const sealed = sealVital(key, value)
        values.put(sealed, key)
        copies.put(sealed, key)
      } else values.put(ownBytes(value), key)
    }
    const failed = (await Promise.all(checks)).filter((key) => key !== undefined)
    if (failed.length > 0) throw new ConflictError(failed)
    // Ends it without waiting for the answer to each write.
    transaction.commit()
  } catch (error) {
    // The reads that still run end with the transaction; nobody else hears of them.
    for (const check of checks) check.catch(() => {})
    throw error
  }
}

function touchesVital({ put = [], remove = [] }: Batch): boolean {
  return put.some(([key]) => isVital(key)) || remove.some(isVital)
}

/** Structured clone writes the whole buffer behind a view: a small view of a large memory would store all of it. */
function ownBytes(value: Uint8Array): Uint8Array {
  return value.byteLength === value.buffer.byteLength && value.constructor === Uint8Array ? value : new Uint8Array(value)
}

function intactValue(key: string, value: unknown): Uint8Array | undefined {
  if (value === undefined || value instanceof Uint8Array) return value
  throw damagedKey(key)
}

function damagedKey(key: string): StoreDamagedError {
  return new StoreDamagedError(`the value of ${key} in this browser's storage is not what was written; restore from an export`)
}

/**
 * Asks the browser not to evict this origin's data. Some browsers ask the user, some decide by
 * themselves; call it from a click where possible.
 *
 * @returns true if storage is now persistent; false also where the browser cannot tell
 */
export async function requestPersistence(): Promise<boolean> {
  try {
    return (await navigator.storage.persisted()) || (await navigator.storage.persist())
  } catch {
    return false
  }
}
