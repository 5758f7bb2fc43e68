/**
 * The connection to IndexedDB: opening it within a bounded time, transactions that always settle,
 * and errors that a caller can branch on.
 *
 * @module
 */
import { IgorError, StoreClosedError, StoreDamagedError, StoreFullError } from '@igor/core'

/** All values; and the second copies of vital ones, apart so that no list shows them. */
export const VALUES = 'values'
export const COPIES = 'copies'

/** Version of the layout above; a database of a higher one is left alone. */
const LAYOUT = 1

/**
 * Milliseconds to wait for the database to open. It waits for another tab that deletes the database
 * or still has an older layout open, and IndexedDB does not tell of the former.
 */
const OPEN_PATIENCE = 10_000

export interface Connection {
  readonly closed: boolean
  /** Runs `work` in one transaction over both object stores. Resolves once it is complete; if `work` throws, all of it is undone. */
  use<T>(
    mode: IDBTransactionMode,
    durability: IDBTransactionDurability,
    work: (values: IDBObjectStore) => T | PromiseLike<T>,
  ): Promise<T>
  /** No new transactions; those that run go on to their end. */
  close(): void
}

/** @throws IgorError STORE_VERSION | STORE_BUSY | HOST_FAULT */
export async function connect(name: string): Promise<Connection> {
  const database = await open(name).catch((error: unknown) => {
    throw explainOpening(error, name)
  })
  const running = new Set<(reason: Error) => void>()
  let closed = false

  const close = () => {
    closed = true
    database.close()
  }
  // Another tab deletes the database, or a newer Igor changes its layout: it waits until this connection is closed.
  database.onversionchange = close
  // The browser took it away (site data cleared, disk gone): what runs may never hear of it.
  database.onclose = () => {
    closed = true
    for (const fail of [...running]) fail(new StoreClosedError())
  }

  return {
    get closed() {
      return closed
    },
    close,
    use: async (mode, durability, work) => {
      if (closed) throw new StoreClosedError()
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      let transaction: IDBTransaction | undefined
      running.add(reject)
      try {
        transaction = database.transaction([VALUES, COPIES], mode, { durability })
        const ended = transaction
        ended.oncomplete = () => resolve()
        ended.onabort = () => reject(ended.error ?? new StoreClosedError())
        // The transaction may abort, or the database vanish, while the work waits for an answer that never comes.
        const [result] = await Promise.all([work(ended.objectStore(VALUES)), promise])
        return result
      } catch (error) {
        undo(transaction)
        // The engine's own reason (quota, disk) is the cause of whatever else failed.
        const reason = explain(transaction?.error ?? error, name)
        if (reason instanceof StoreClosedError) close()
        throw reason
      } finally {
        running.delete(reject)
      }
    },
  }
}

function undo(transaction: IDBTransaction | undefined): void {
  try {
    transaction?.abort()
  } catch {
    // It is over already.
  }
}

function open(name: string): Promise<IDBDatabase> {
  const { promise, resolve, reject } = Promise.withResolvers<IDBDatabase>()
  const request = indexedDB.open(name, LAYOUT)
  let late = false
  const timer = setTimeout(() => {
    late = true
    reject(
      new IgorError(
        'STORE_BUSY',
        `the storage of this page (${name}) is held by another tab; close the other tabs of it and reload`,
      ),
    )
  }, OPEN_PATIENCE)
  request.onupgradeneeded = () => {
    request.result.createObjectStore(VALUES)
    request.result.createObjectStore(COPIES)
  }
  request.onsuccess = () => {
    clearTimeout(timer)
    if (late) request.result.close()
    else resolve(request.result)
  }
  request.onerror = () => {
    clearTimeout(timer)
    reject(request.error)
  }
  return promise
}

/** What went wrong in a transaction; IndexedDB's exceptions are told apart by name only. */
function explain(error: unknown, name: string): Error {
  if (error instanceof IgorError) return error
  const cause = asError(error)
  switch (cause.name) {
    case 'QuotaExceededError':
      return new StoreFullError(
        'nothing was written: the storage that the browser grants this page is full; free disk space, or move or retire agents',
        { cause },
      )
    // Chromium and Firefox: the file behind a value is gone or broken.
    case 'NotReadableError':
    case 'DataError':
      return new StoreDamagedError(`the browser cannot read a value of this page's storage (${name}): ${cause.message}`, {
        cause,
      })
    default: {
      // The connection was taken away, or the engine failed in a way that it does not name: what was
      // committed is in doubt, so the store ends rather than going on.
      const closed = new StoreClosedError()
      closed.cause = cause
      return closed
    }
  }
}

function explainOpening(error: unknown, name: string): Error {
  if (error instanceof IgorError) return error
  const cause = asError(error)
  switch (cause.name) {
    case 'VersionError':
      return new IgorError(
        'STORE_VERSION',
        `the storage of this page (${name}) was written by a newer Igor; reload the page to get that one`,
        { cause },
      )
    case 'AbortError':
      return new IgorError('STORE_BUSY', `the storage of this page (${name}) was being cleared; reload the page`, { cause })
    default:
      return new IgorError(
        'HOST_FAULT',
        `the browser does not let this page store anything (${cause.message}); leave the private window, allow site data or free disk space, and reload`,
        { cause },
      )
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
