/**
 * What is read off a node from outside: what it makes durable, and what it shows to others.
 *
 * @module
 */
import type { Batch } from '@igor/core'
import { decodeHeadRow, decodeRow, decodeSaid, HANDOFF_PROTOCOL, keys, PRESENCE_TOPIC, witnessKeys } from '@igor/core/simulated'
import { decodeRecord, type LineageRecord } from '@igor/lineage'
import { decode } from '@ipld/dag-cbor'
import type { Checks } from './checks.ts'
import { peek } from './peek.ts'

export const isRecord = (key: string): boolean => key.includes('/record/') || key.includes('/refusal/')

/** What a batch is for, in a word: names its crash points. */
export const labelOf = ({ put = [], remove = [] }: Batch): string => {
  if (put.some(([key]) => key.startsWith(witnessKeys.heads))) {
    const last = put.findLast(([key]) => isRecord(key))
    return last === undefined ? 'witness: lease' : `witness: ${peek(last[1], 'kind')}`
  }
  const row = put.find(([key]) => key.startsWith(keys.authorities))
  if (row !== undefined) {
    const { state } = decodeRow(row[1])
    if (state === 'retired' || state === 'recovery-required') {
      const retires = put.some(([key, value]) => isRecord(key) && peek(value, 'kind') === 'retire')
      return state === 'retired' ? (retires ? 'retire' : 'depart') : 'halt'
    }
    const kinds = put.filter(([key]) => isRecord(key)).map(([, value]) => peek(value, 'kind'))
    if (kinds.includes('genesis') && kinds.length === 2 && kinds[1] === 'checkpoint') return 'birth'
    if (state === 'handoff-pending') return 'handoff'
    if (kinds.includes('refuse') && kinds.at(-1) === 'accept' && kinds.length === 2) return 'take back'
    return kinds.at(-1) ?? 'row'
  }
  const [first] = put[0] ?? []
  if (first?.includes('/journal/') || first?.startsWith('turn/')) return 'journal'
  if (first?.includes('/refusal/')) return 'refuse'
  if (first?.startsWith('vital/node/')) return 'identity'
  if (first === keys.ownerSeeds) return 'owner seeds'
  if (first?.startsWith(keys.modules) || first?.includes('/block/')) return 'copy'
  if (remove.length > 0 || first?.startsWith('modules/')) return 'sweep'
  return put.length === 0 ? 'barrier' : 'other'
}

/** Tells the checks of what is durable now. */
export const seeBatch = (checks: Checks, machine: number, { put = [] }: Batch): void => {
  if (checks.histories.honest(machine))
    for (const [key, value] of put) if (key.startsWith(keys.forks)) checks.histories.convicted(machine, value)
  for (const [key, value] of put)
    if (key.startsWith(witnessKeys.heads)) checks.histories.head(key.slice(witnessKeys.heads.length), decodeHeadRow(value))
  for (const [key, value] of put) if (isRecord(key)) checks.histories.wrote(machine, lookAt(value))
  for (const [key, value] of put)
    if (key.startsWith(keys.authorities) && checks.histories.honest(machine))
      checks.row(machine, key.slice(keys.authorities.length), decodeRow(value))
}

const bytesIn = (value: unknown): Uint8Array[] => {
  if (value instanceof Uint8Array) return [value]
  return Array.isArray(value) ? value.flatMap(bytesIn) : []
}

/** Records that were looked at, by their length and the end of their signature: most are said again and again. */
const known = new Map<string, LineageRecord>()
const MAX_KNOWN = 5000
const NAME_BYTES = 48

export const lookAt = (bytes: Uint8Array): LineageRecord => {
  const name = `${bytes.length} ${String.fromCharCode(...bytes.subarray(-NAME_BYTES))}`
  const before = known.get(name)
  if (before !== undefined) return before
  const record = decodeRecord(bytes)
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(name, record)
  return record
}

/** Tells the checks of the records in what a node says. */
export const seeMessage = (checks: Checks, machine: number, protocol: string, message: Uint8Array): void => {
  if (protocol === PRESENCE_TOPIC) {
    for (const { agent, epoch, seq, head } of decodeSaid('', message).agents)
      if (head !== '') checks.shown(machine, agent, epoch, seq, head)
    return
  }
  const type = peek(message, 'type')
  const handoff = protocol === HANDOFF_PROTOCOL && ['offer', 'commit', 'done', 'status'].includes(type)
  if (!handoff && type !== 'records') return
  const { head, record, records } = decode<Record<string, unknown>>(message)
  for (const bytes of [head, record, records].flatMap(bytesIn)) {
    const record = lookAt(bytes)
    const { agent, epoch, seq } = record.body
    checks.shown(machine, agent, epoch, seq, record.id.toString())
    checks.histories.cosigned(machine, record)
  }
}
