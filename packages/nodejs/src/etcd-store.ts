/**
 * A store in etcd for witnesses that several relays serve: its documented JSON gateway, by fetch
 * (https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/). Transactions compare and swap; reads are linearizable.
 *
 * No client library: the one for Node.js (etcd3) has had no release since 2022, and four calls are all that is needed.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { ConflictError, IgorError, type Store } from '@igor/core'

/** Of one request; more than one tick of a cluster that elects a leader. */
const REQUEST_MS = 5000
/** etcd takes 128 by default (`--max-txn-ops`). */
const MAX_OPS = 100
/** etcd takes 1.5 MiB by default (`--max-request-bytes`). */
const MAX_BYTES = 1024 * 1024
/** Times that a transaction whose answer was lost is looked at again. */
const MAX_TRIES = 5
const TRY_MS = 200
const SEED_BYTES = 32
const SEED_KEY = 'vital/witness-key'

export interface EtcdOptions {
  /** Keys of one witness; two witnesses in one cluster take two. Default `igor/`. */
  readonly prefix?: string
}

type Json = Readonly<Record<string, unknown>>
interface Found {
  readonly key: string
  readonly value?: string
}

const text = (value: string): string => Buffer.from(value).toString('base64')
const base64 = (value: Uint8Array): string => Buffer.from(value).toString('base64')
const bytesOf = (value: string | undefined): Uint8Array => new Uint8Array(Buffer.from(value ?? '', 'base64'))

/** The first key after all that begin so. */
const after = (prefix: string): string => {
  const bytes = Buffer.from(prefix)
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) + 1
  return bytes.toString('base64')
}

/** `etcd://host:port,host:port`, one or more members of one cluster; `etcds://` for TLS. @throws IgorError BAD_ADDRESS */
export const parseEtcd = (url: string): readonly string[] => {
  const match = /^(etcds?):\/\/([^/\s]+)\/?$/.exec(url)
  if (match === null) throw new IgorError('BAD_ADDRESS', `${url} is not like etcd://127.0.0.1:2379`)
  const [, scheme, hosts = ''] = match
  return hosts.split(',').map((host) => `${scheme === 'etcds' ? 'https' : 'http'}://${host}`)
}

const unreachable = (why: unknown): IgorError =>
  new IgorError('WITNESS_UNREACHABLE', `etcd does not answer: ${why instanceof Error ? why.message : String(why)}`)

/** Asks one member after the other. */
const createCalls = (members: readonly string[], signal: AbortSignal) => {
  let first = 0
  return async (path: string, body: Json): Promise<Json> => {
    let why: unknown
    for (let i = 0; i < members.length; i++) {
      const at = (first + i) % members.length
      try {
        const response = await fetch(`${members[at]}/v3/${path}`, {
          method: 'POST',
          body: JSON.stringify(body),
          signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]),
        })
        const answer = (await response.json()) as Json
        if (response.ok) {
          first = at
          return answer
        }
        why = new Error(String(answer.message ?? response.statusText))
      } catch (error) {
        signal.throwIfAborted()
        why = error
      }
    }
    throw unreachable(why)
  }
}

type Rows = readonly (readonly [string, Uint8Array])[]

/** Cuts what needs no condition into requests that etcd takes. */
function* cut(rows: Rows): Generator<Rows> {
  let part: (readonly [string, Uint8Array])[] = []
  let size = 0
  for (const row of rows) {
    if (part.length >= MAX_OPS || (part.length > 0 && size + row[1].length > MAX_BYTES)) {
      yield part
      part = []
      size = 0
    }
    part.push(row)
    size += row[1].length
  }
  if (part.length > 0) yield part
}

/** Named by their hash: there before a head names them, they are never seen by halves. */
const isBlock = (key: string): boolean => key.includes('/block/')

/**
 * For a witness's heads, records and blocks, and nothing else: blocks land before the rest of a batch, and removals
 * after it, if its vital rows still stand then; the rest is one transaction.
 *
 * @param url as `parseEtcd` takes it
 */
export const etcdStore = (url: string, { prefix = 'igor/' }: EtcdOptions = {}): Store => {
  const ended = new AbortController()
  const call = createCalls(parseEtcd(url), ended.signal)
  const nameOf = (key: string): string => text(prefix + key)
  const putOf = ([key, value]: readonly [string, Uint8Array]): Json => ({
    requestPut: { key: nameOf(key), value: base64(value) },
  })

  const get = async (key: string): Promise<Uint8Array | undefined> => {
    const { kvs } = (await call('kv/range', { key: nameOf(key) })) as { kvs?: readonly Found[] }
    const [found] = kvs ?? []
    return found === undefined ? undefined : bytesOf(found.value)
  }

  const compareOf = ([key, value]: readonly [string, Uint8Array | undefined]): Json =>
    value === undefined
      ? { key: nameOf(key), target: 'CREATE', result: 'EQUAL', createRevision: '0' }
      : { key: nameOf(key), target: 'VALUE', result: 'EQUAL', value: base64(value) }

  const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
    a === b || (a !== undefined && b !== undefined && Buffer.compare(a, b) === 0)

  const differing = async (rows: readonly (readonly [string, Uint8Array | undefined])[]): Promise<string[]> => {
    const found = await Promise.all(rows.map(([key]) => get(key)))
    return rows.flatMap(([key, value], i) => (same(found[i], value) ? [] : [key]))
  }

  /** An answer that is lost says nothing: what stands there does. */
  const swap = async (put: Rows, expect: readonly (readonly [string, Uint8Array | undefined])[]): Promise<void> => {
    for (let tries = 0; ; tries++) {
      try {
        const answer = await call('kv/txn', { compare: expect.map(compareOf), success: put.map(putOf), failure: [] })
        if (answer.succeeded === true) return
      } catch (error) {
        if (ended.signal.aborted || tries >= MAX_TRIES) throw error
        await new Promise((resolve) => setTimeout(resolve, TRY_MS))
      }
      const wrong = await differing(expect)
      if (wrong.length === 0) continue
      if (put.length > 0 && (await differing(put)).length === 0) return
      throw new ConflictError(wrong)
    }
  }

  return {
    get,
    list: async (start) => {
      const range = {
        key: nameOf(start),
        rangeEnd: after(prefix + start),
        keysOnly: true,
        sortOrder: 'ASCEND',
        sortTarget: 'KEY',
      }
      const { kvs } = (await call('kv/range', range)) as { kvs?: readonly Found[] }
      return (kvs ?? []).map(({ key }) => Buffer.from(key, 'base64').toString().slice(prefix.length))
    },
    commit: async ({ put = [], remove = [], expect = [] }) => {
      for (const part of cut(put.filter(([key]) => isBlock(key))))
        await call('kv/txn', { compare: [], success: part.map(putOf), failure: [] })
      const rest = put.filter(([key]) => !isBlock(key))
      if (rest.length + expect.length > MAX_OPS) throw new IgorError('BAD_REQUEST', 'more in one transaction than etcd takes')
      if (rest.length > 0 || expect.length > 0) await swap(rest, expect)
      const kept = new Set(put.map(([key]) => key))
      const gone = remove.filter((key) => !kept.has(key))
      for (let at = 0; at < gone.length; at += MAX_OPS) {
        const part = gone.slice(at, at + MAX_OPS).map((key) => ({ requestDeleteRange: { key: nameOf(key) } }))
        // Not when another relay has gone on since: it may have put some of them again.
        const compare = rest.filter(([key]) => key.startsWith('vital/')).map(compareOf)
        await call('kv/txn', { compare, success: part, failure: [] })
      }
    },
    usage: async () => {
      const { dbSize } = await call('maintenance/status', {})
      return { used: Number(dbSize ?? 0), persistent: true }
    },
    damaged: false,
    close: async () => ended.abort(new IgorError('STORE_CLOSED', 'the store is closed')),
  }
}

/**
 * What relays share that serve one witness: its key is made with the first of them, and stands in the store too. Who
 * can write there could move every head, with or without the key.
 */
export const openSharedWitness = async (
  url: string,
  options: EtcdOptions = {},
): Promise<{ readonly seed: Uint8Array; readonly store: Store }> => {
  const store = etcdStore(url, options)
  const known = await store.get(SEED_KEY)
  if (known !== undefined) return { seed: known, store }
  const seed = new Uint8Array(randomBytes(SEED_BYTES))
  try {
    await store.commit({ put: [[SEED_KEY, seed]], expect: [[SEED_KEY, undefined]] })
    return { seed, store }
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error
    return { seed: (await store.get(SEED_KEY)) ?? seed, store }
  }
}
