/**
 * As much of WASI preview 1 as C, Rust and Go programs need to start (docs/design.md, section 3): clock
 * and random are the tick's, what is written to fd 1 and 2 becomes log lines, there are no arguments, no
 * environment and no files, waiting takes no time, and all else answers ENOSYS.
 *
 * Numbers and layouts: https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md
 *
 * @module
 */
import { Trap } from '@igor/sandbox'
import { WASI, wasiNames } from './capabilities.ts'
import { bytesCost, PART_COST } from './hostcall-costs.ts'
import { type Host, type HostFunction, MAX_RANDOM, metered, opens, span } from './hostcalls.ts'
import { MAX_LINE } from './session.ts'
import { pollOneoff } from './wasi-poll.ts'

const SUCCESS = 0
const EBADF = 8
const EINVAL = 28
const ENOSYS = 52

const REALTIME = 0
const MONOTONIC = 1
/** Bytes of `fdstat`. */
const FDSTAT = 24
const CHARACTER_DEVICE = 2
/** Buffers of one write: as the usual IOV_MAX. */
const MAX_IOVS = 1024
/** Bytes that one call takes at most; whoever has more is told so and calls again. */
const MAX_WRITE = 64 * 1024
const NEWLINE = 10

const setU32 = (host: Host, ptr: number, value: number): void => {
  const at = span(host, ptr, 4)
  new DataView(at.buffer, at.byteOffset, 4).setUint32(0, value, true)
}

const setU64 = (host: Host, ptr: number, value: bigint): void => {
  const at = span(host, ptr, 8)
  new DataView(at.buffer, at.byteOffset, 8).setBigUint64(0, value, true)
}

const isClock = (id: number): boolean => id === REALTIME || id === MONOTONIC

/** Puts output together to lines. What is beyond a line's limit is dropped up to its end, as `log_emit` does. */
const write = (host: Host, bytes: Uint8Array): void => {
  const session = host.session()
  const { output } = session
  let rest = bytes
  while (rest.length > 0) {
    const newline = rest.indexOf(NEWLINE)
    const part = newline < 0 ? rest : rest.subarray(0, newline)
    if (output.bytes.length === 0) output.bytes = new Uint8Array(MAX_LINE + 1)
    // One byte more than a line may have tells the log that it was cut.
    const fits = part.subarray(0, MAX_LINE + 1 - output.length)
    host.charge(PART_COST.line + bytesCost('text', part.length))
    output.bytes.set(fits, output.length)
    output.length += fits.length
    if (newline < 0) return
    session.log(output.bytes.subarray(0, output.length))
    output.length = 0
    rest = rest.subarray(newline + 1)
  }
}

const fdWrite = (host: Host) => (fd: number, iovs: number, count: number, written: number) => {
  if (fd !== 1 && fd !== 2) return EBADF
  if (count >>> 0 > MAX_IOVS) return EINVAL
  host.charge((count >>> 0) * PART_COST.buffer)
  const list = span(host, iovs, (count >>> 0) * 8)
  const view = new DataView(list.buffer, list.byteOffset, list.byteLength)
  let total = 0
  for (let at = 0; at < list.byteLength && total < MAX_WRITE; at += 8) {
    const bytes = span(host, view.getUint32(at, true), view.getUint32(at + 4, true)).subarray(0, MAX_WRITE - total)
    write(host, bytes)
    total += bytes.length
  }
  setU32(host, written, total)
  return SUCCESS
}

const fdFdstatGet = (host: Host) => (fd: number, ptr: number) => {
  if (fd < 0 || fd > 2) return EBADF
  const stat = span(host, ptr, FDSTAT)
  stat.fill(0)
  stat[0] = CHARACTER_DEVICE
  return SUCCESS
}

const none = (host: Host) => (count: number, bytes: number) => {
  setU32(host, count, 0)
  setU32(host, bytes, 0)
  return SUCCESS
}

/** The functions of the shim that are open to what is granted, bound to one instance's host. */
export const wasiImports = (host: Host, granted: readonly string[]): Record<string, HostFunction> => {
  const functions: Record<string, HostFunction> = {}
  for (const name of wasiNames()) functions[name] = () => ENOSYS
  functions.args_get = () => SUCCESS
  functions.environ_get = () => SUCCESS
  functions.args_sizes_get = none(host)
  functions.environ_sizes_get = none(host)
  functions.fd_fdstat_get = fdFdstatGet(host)
  // The C library looks for folders that were opened for it until it is told that there is no such file.
  functions.fd_prestat_get = () => EBADF
  functions.poll_oneoff = pollOneoff(host)
  functions.sched_yield = () => SUCCESS
  functions.proc_exit = (code: number) => {
    throw new Trap(`the program ended itself with proc_exit(${code}); an agent returns from agent_tick`)
  }
  const add = (capability: 'clock' | 'rand' | 'log', name: string, make: HostFunction): void => {
    if (opens(granted, capability, `${WASI}.${name}`)) functions[name] = make
  }
  add('clock', 'clock_time_get', (id: number, _precision: bigint, ptr: number) => {
    if (!isClock(id)) return EINVAL
    setU64(host, ptr, host.session().time)
    return SUCCESS
  })
  add('clock', 'clock_res_get', (id: number, ptr: number) => {
    if (!isClock(id)) return EINVAL
    setU64(host, ptr, 1n)
    return SUCCESS
  })
  add('rand', 'random_get', (ptr: number, length: number) => {
    const out = span(host, ptr, length)
    if (out.length > MAX_RANDOM) return EINVAL
    host.charge(bytesCost('random', out.length))
    host.session().random(out)
    return SUCCESS
  })
  add('log', 'fd_write', fdWrite(host))
  return Object.fromEntries(Object.entries(functions).map(([name, call]) => [name, metered(host, name, call)]))
}
