/**
 * The functions of module `igor` (docs/design.md, section 9). What they answer comes from the session
 * alone: nothing else reaches an agent.
 *
 * @module
 */
import { Trap } from '@igor/sandbox'
import { type Capability, importsOf } from './capabilities.ts'
import { bytesCost, CALL_COST, EXTRA_COST } from './hostcall-costs.ts'
import { MAX_KV_KEY, MAX_KV_VALUE } from './kv.ts'
import { MAX_LINE, type Session } from './session.ts'

/** Errors of the interface. */
export const GENERIC = -1
export const TOO_LONG = -2
export const TOO_SMALL = -4
/** Also: too large. */
export const NOT_FOUND = -5

/** Bytes of one `rand_bytes`, as of WebCrypto's getRandomValues. */
export const MAX_RANDOM = 65_536
/** Bytes of one frame or text: 512 x 512 pixels. */
export const MAX_VIEW = 1024 * 1024
/** Pixels on a side; also bounds the hints of a text. */
const MAX_SIDE = 4096

/** What a hostcall reaches: memory as it is now, the job's session, and the fuel. */
export interface Host {
  memory(): Uint8Array
  session(): Session
  /** Before what it is for has any effect. @throws Trap `out-of-fuel` */
  charge(fuel: number): void
}

// wasm hands numbers over as they are declared; what a module declares is its own business.
export type HostFunction = (...args: never[]) => number | bigint | undefined
type I32 = number

/**
 * Bytes of the agent's memory. Pointer and length are unsigned.
 * @throws Trap when they reach beyond the memory
 */
export const span = (host: Host, ptr: I32, length: I32): Uint8Array => {
  const start = ptr >>> 0
  const end = start + (length >>> 0)
  const memory = host.memory()
  if (end > memory.length) {
    throw new Trap(`a hostcall was handed ${length >>> 0} bytes at ${start}; the memory ends at ${memory.length}`)
  }
  return memory.subarray(start, end)
}

/** Charges the call itself before anything of it is done. */
export const metered = (host: Host, name: string, call: HostFunction): HostFunction => {
  const cost = CALL_COST + (EXTRA_COST[name] ?? 0)
  return (...args) => {
    host.charge(cost)
    return call(...args)
  }
}

/** Copies to the agent's memory. */
const give = (host: Host, to: Uint8Array, from: Uint8Array): number => {
  host.charge(bytesCost('given', from.length))
  to.set(from)
  return from.length
}

type Make = (host: Host) => HostFunction

const initRead: Make = (host) => (offset: I32, ptr: I32, cap: I32) => {
  const to = span(host, ptr, cap)
  const from = offset >>> 0
  return give(host, to, host.session().init.subarray(from, from + to.length))
}

const clockNow: Make = (host) => () => host.session().time

const randBytes: Make = (host) => (ptr: I32, length: I32) => {
  const out = span(host, ptr, length)
  if (out.length > MAX_RANDOM) return TOO_LONG
  host.charge(bytesCost('random', out.length))
  host.session().random(out)
  return 0
}

const logEmit: Make = (host) => (ptr: I32, length: I32) => {
  const line = span(host, ptr, length)
  host.charge(bytesCost('text', Math.min(line.length, MAX_LINE)))
  host.session().log(line)
  return undefined
}

const viewShow: Make = (host) => (kind: I32, ptr: I32, length: I32, width: I32, height: I32) => {
  const bytes = span(host, ptr, length)
  if (bytes.length > MAX_VIEW) return TOO_LONG
  if (width < 0 || height < 0 || width > MAX_SIDE || height > MAX_SIDE) return GENERIC
  if (kind !== 0 && !(kind === 1 && width > 0 && height > 0 && width * height * 4 === bytes.length)) return GENERIC
  host.charge(bytesCost('kept', bytes.length))
  host.session().show({ kind: kind === 0 ? 'text' : 'rgba', bytes: bytes.slice(), width, height })
  return 0
}

const inboxNext: Make = (host) => (ptr: I32, cap: I32) => {
  const to = span(host, ptr, cap)
  const session = host.session()
  // 0 says that there is none: an empty message has nothing to say and is passed over.
  while (session.peek()?.length === 0) session.take()
  const message = session.peek()
  if (message === undefined) return 0
  if (message.length > to.length) return TOO_SMALL
  give(host, to, message)
  session.take()
  return message.length
}

const walletBalance: Make = (host) => () => host.session().terms.balance

const walletReceiptCount: Make = (host) => () => host.session().terms.receipts.length

const walletReceipt: Make = (host) => (index: I32, ptr: I32, cap: I32) => {
  const to = span(host, ptr, cap)
  const receipt = host.session().terms.receipts[index >>> 0]
  if (receipt === undefined) return NOT_FOUND
  if (receipt.length > to.length) return TOO_SMALL
  return give(host, to, receipt)
}

const nodePrice: Make = (host) => () => host.session().terms.price

const keyAt = (host: Host, ptr: I32, length: I32): Uint8Array | undefined => {
  const key = span(host, ptr, length)
  if (key.length === 0 || key.length > MAX_KV_KEY) return undefined
  host.charge(bytesCost('key', key.length))
  return key
}

const kvGet: Make = (host) => (keyPtr: I32, keyLength: I32, ptr: I32, cap: I32) => {
  const key = keyAt(host, keyPtr, keyLength)
  const to = span(host, ptr, cap)
  if (key === undefined) return TOO_LONG
  const value = host.session().kv.get(key)
  if (value === undefined) return NOT_FOUND
  if (value.length > to.length) return TOO_SMALL
  return give(host, to, value)
}

const kvPut: Make = (host) => (keyPtr: I32, keyLength: I32, ptr: I32, length: I32) => {
  const key = keyAt(host, keyPtr, keyLength)
  const value = span(host, ptr, length)
  if (key === undefined || value.length > MAX_KV_VALUE) return TOO_LONG
  host.charge(bytesCost('kept', value.length))
  return host.session().kv.put(key, value) ? 0 : NOT_FOUND
}

const kvDelete: Make = (host) => (keyPtr: I32, keyLength: I32) => {
  const key = keyAt(host, keyPtr, keyLength)
  if (key === undefined) return TOO_LONG
  return host.session().kv.remove(key) ? 0 : NOT_FOUND
}

const TABLE: Readonly<Record<Capability, Readonly<Record<string, Make>>>> = {
  clock: { clock_now: clockNow },
  rand: { rand_bytes: randBytes },
  log: { log_emit: logEmit },
  view: { view_show: viewShow },
  inbox: { inbox_next: inboxNext },
  wallet: { wallet_balance: walletBalance, wallet_receipt_count: walletReceiptCount, wallet_receipt: walletReceipt },
  pricing: { node_price: nodePrice },
  kv: { kv_get: kvGet, kv_put: kvPut, kv_delete: kvDelete },
}

/** The granted functions of module `igor`, bound to one instance's host. */
export const igorImports = (host: Host, granted: readonly string[]): Record<string, HostFunction> => {
  const functions: Record<string, HostFunction> = { init_read: metered(host, 'init_read', initRead(host)) }
  for (const [capability, makers] of Object.entries(TABLE)) {
    if (!granted.includes(capability)) continue
    for (const [name, make] of Object.entries(makers)) functions[name] = metered(host, name, make(host))
  }
  return functions
}

/** True when a function, as `module.name`, is open to what is granted. */
export const opens = (granted: readonly string[], capability: Capability, full: string): boolean =>
  granted.includes(capability) && importsOf(capability).includes(full)
