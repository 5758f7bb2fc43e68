/**
 * Numbers and names as people read them.
 *
 * @module
 */
import type { AgentState } from '@igor/core'
import type { Style } from './output.ts'

/** `did:key:z6Mk…` and peer ids start alike: their ends tell them apart. */
export function short(id: string): string {
  const key = id.startsWith('did:key:') ? id.slice('did:key:'.length) : id
  return key.length <= 16 ? key : `${key.slice(0, 6)}…${key.slice(-6)}`
}

/** @param ms a span in milliseconds */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function size(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

const MICROCENTS = 1_000_000n

/** @param microcents 1 unit is 1,000,000 */
export function money(microcents: bigint): string {
  const sign = microcents < 0n ? '-' : ''
  const amount = microcents < 0n ? -microcents : microcents
  const part = (amount % MICROCENTS).toString().padStart(6, '0').replace(/0+$/, '')
  return `${sign}${amount / MICROCENTS}${part === '' ? '' : `.${part}`}`
}

/** @returns microcents, or undefined when the text is no amount such as `12` or `0.25` */
export function parseMoney(text: string): bigint | undefined {
  const match = /^(\d{1,12})(?:\.(\d{1,6}))?$/.exec(text)
  if (match === null) return undefined
  return BigInt(match[1] as string) * MICROCENTS + BigInt((match[2] ?? '').padEnd(6, '0'))
}

/** Milliseconds with the digits that matter. */
export function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}

/** Unix ms as date and time, UTC. */
export function date(time: number): string {
  return new Date(time).toISOString().replace('T', ' ').slice(0, 19)
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

export const STATE_STYLES: Readonly<Record<AgentState, Style>> = {
  active: 'green',
  moving: 'cyan',
  halted: 'red',
  faulted: 'red',
  exhausted: 'yellow',
  paused: 'yellow',
  moved: 'gray',
  retired: 'gray',
}
