/**
 * What a journal says of itself that needs no run to be judged. Pure.
 *
 * @module
 */
import { billedFuel, costOf, type Header, type JournalEntry } from '@igor/lineage'
import { startFuel } from '../agent/attempt.ts'
import type { HostPart } from '../agent/host-part.ts'
import { deliver, hasSeen } from '../agent/inbox.ts'
import { nameOfReceipt } from '../agent/receipts.ts'
import type { Manifest } from '../manifest.ts'
import type { Step } from './spans.ts'

const sameBytes = (a: Uint8Array, b: Uint8Array | undefined): boolean =>
  a.length === b?.length && a.every((byte, i) => byte === b[i])

/**
 * The last of them is of the record before, which its host has whatever it pruned; those before it may have gaps. Of
 * records that are not known here nothing is said.
 */
const wrongReceipts = (shown: readonly Uint8Array[], { receipts: { last, known }, record }: Step, seen: boolean) => {
  const latest = shown.at(-1)
  if (!seen) return latest === undefined ? undefined : 'it shows receipts to an agent that may not see any'
  if (last === undefined) return latest === undefined ? undefined : 'it shows a receipt before anything was billed'
  if (latest === undefined || !sameBytes(latest, last)) return 'the last receipt that it shows is not of the record before it'
  let before = -1
  for (const receipt of shown) {
    const found = known.get(nameOfReceipt(receipt))
    if (found === undefined) continue
    if (found.seq >= record.body.seq || found.seq <= before) return 'the receipts that it shows are not in their order'
    if (!sameBytes(receipt, found.receipt)) return `the receipt of record ${found.seq} that it shows is not what that bills`
    before = found.seq
  }
  return undefined
}

/** What an attempt costs up to here is known from the fuel: what is left of the budget follows. */
const balanceAfter = ({ before, billed, record }: Step, since: bigint): bigint =>
  before.budget - (billed.cost + costOf(before.fuel + since - billed.fuel, record.body.price) - before.cost)

const wrongTerms = (header: Header, step: Step, since: bigint, { host, manifest }: Before): string | undefined => {
  const { epoch, price } = step.record.body
  if (header.epoch !== epoch) return `it names epoch ${header.epoch} in a record of epoch ${epoch}`
  if (header.price !== price) return `it names a price of ${header.price}, the epoch has ${price}`
  if (header.attempt !== host.failures) return `it is attempt ${header.attempt}, after ${host.failures} that failed`
  if (header.time < host.time) return `its time ${header.time} lies before ${host.time}, that of the tick before`
  const balance = balanceAfter(step, since)
  if (header.balance !== balance) return `it names a balance of ${header.balance}, where ${balance} was left`
  return wrongReceipts(header.receipts, step, manifest.capabilities.has('wallet'))
}

interface Before {
  readonly host: HostPart
  readonly manifest: Manifest
}

/**
 * Why no honest host can have written this entry here; undefined: one can have.
 *
 * @param host the host's part before it
 * @param since fuel billed since the record before
 * @param first of an agent's life
 */
export const objection = (
  entry: JournalEntry,
  { host, since, first, manifest }: { host: HostPart; since: bigint; first: boolean; manifest: Manifest },
  step: Step,
): string | undefined => {
  if (first !== (entry.kind === 'start')) return first ? 'a life begins with a start' : 'an agent starts once'
  switch (entry.kind) {
    case 'message':
      if (hasSeen(host, entry.id)) return 'the same message was let in before'
      try {
        deliver(host, entry.id, entry.message)
        return undefined
      } catch (error) {
        return `a message was let in that must not be: ${error instanceof Error ? error.message : error}`
      }
    case 'start':
      if (entry.header.tick !== 0) return `it starts with tick ${entry.header.tick}`
      if (entry.header.limit > startFuel(manifest, undefined)) return `its limit of ${entry.header.limit} is over the manifest's`
      return wrongTerms(entry.header, step, since, { host, manifest })
    case 'run': {
      const { tick, limit } = entry.header
      if (tick !== host.tick + 1) return `it names tick ${tick} after tick ${host.tick}`
      if (host.paused || host.faulted !== null) return `it ticked while it was ${host.paused ? 'paused' : 'faulted'}`
      if (limit > BigInt(manifest.limits.maxFuelPerTick)) return `its limit of ${limit} is over the manifest's`
      return wrongTerms(entry.header, step, since, { host, manifest })
    }
    case 'upgrade': {
      const { tick, limit } = entry.header
      if (tick !== host.tick + 1) return `it names tick ${tick} after tick ${host.tick}`
      if (limit > startFuel(manifest, undefined)) return `its limit of ${limit} is over the manifest's`
      return wrongTerms(entry.header, step, since, { host, manifest })
    }
  }
}

export const ticksIn = (entries: readonly JournalEntry[]): number =>
  entries.reduce((sum, entry) => sum + (entry.kind === 'run' ? entry.ticks : 0), 0)

export const fuelIn = (entries: readonly JournalEntry[]): bigint => entries.reduce((sum, entry) => sum + billedFuel(entry), 0n)
