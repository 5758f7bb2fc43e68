/**
 * WASI's `poll_oneoff` where time stands still and there is nothing to wait for: whatever a program waits for has
 * come. Standard output takes more at once, other files are not open, and a sleep is over as soon as it began.
 *
 * Go's runtime asks at each garbage collection once a program has used a timer, and when it panics; what it is not
 * answered, it dies of. A program that goes on asking until time has passed never gets there: it is stopped.
 *
 * Layouts: https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md (subscription, event)
 *
 * @module
 */
import { Trap } from '@igor/sandbox'
import { PART_COST } from './hostcall-costs.ts'
import { type Host, span } from './hostcalls.ts'

const SUCCESS = 0
const EBADF = 8
const EINVAL = 28

const SUBSCRIPTION_BYTES = 48
const EVENT_BYTES = 32
/** As many files as Linux opens for a process by default. */
const MAX_SUBSCRIPTIONS = 1024

const CLOCK = 0
const FD_WRITE = 2
const LAST_CLOCK = 1
const ABSOLUTE = 1

/** Go's own runtime needs some ten in a tick. */
export const MAX_WAITS = 1000

/** What an event says of a subscription: an error number, and whether time would have to pass for it. */
const settle = (at: DataView, now: bigint): { readonly error: number; readonly waits: boolean } => {
  const tag = at.getUint8(8)
  const subject = at.getUint32(16, true)
  if (tag === FD_WRITE) return { error: subject === 1 || subject === 2 ? SUCCESS : EBADF, waits: false }
  if (tag !== CLOCK) return { error: EBADF, waits: false }
  if (subject > LAST_CLOCK) return { error: EINVAL, waits: false }
  const timeout = at.getBigUint64(24, true)
  const absolute = (at.getUint16(40, true) & ABSOLUTE) !== 0
  return { error: SUCCESS, waits: absolute ? timeout > now : timeout > 0n }
}

/** @throws Trap at a pointer beyond the memory, and when a tick waits over and over */
export const pollOneoff = (host: Host) => (subscriptions: number, events: number, count: number, written: number) => {
  const session = host.session()
  const length = count >>> 0
  if (length === 0 || length > MAX_SUBSCRIPTIONS) return EINVAL
  host.charge(length * PART_COST.subscription)
  // A copy: a program may have its events written over its subscriptions.
  const from = span(host, subscriptions, length * SUBSCRIPTION_BYTES).slice()
  const to = span(host, events, length * EVENT_BYTES)
  const number = span(host, written, 4)
  const settled = Array.from({ length }, (_, n) => {
    const at = new DataView(from.buffer, n * SUBSCRIPTION_BYTES, SUBSCRIPTION_BYTES)
    return { at, ...settle(at, session.time) }
  })
  const come = settled.filter(({ waits }) => !waits)
  if (come.length === 0 && ++session.patience.waits > MAX_WAITS) {
    throw new Trap('the program waits, but time stands still during a tick: return from agent_tick, and see in the next one')
  }
  // Who also waits for something that has come is answered by that alone.
  const told = come.length === 0 ? settled : come
  to.fill(0)
  for (const [n, { at, error }] of told.entries()) {
    const event = new DataView(to.buffer, to.byteOffset + n * EVENT_BYTES, EVENT_BYTES)
    event.setBigUint64(0, at.getBigUint64(0, true), true)
    event.setUint16(8, error, true)
    event.setUint8(10, at.getUint8(8))
  }
  new DataView(number.buffer, number.byteOffset, 4).setUint32(0, told.length, true)
  return SUCCESS
}
