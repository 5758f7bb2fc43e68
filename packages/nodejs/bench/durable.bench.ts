/**
 * How many ticks a second one disk makes durable, each with a journal entry of its own.
 *
 * @module
 */
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLogStore } from '@igor/core'
import { median, report } from '../../../scripts/bench-report.mjs'
import { nodeCrypto, openFiles } from '../src/index.ts'
import { journalTicks } from './journaling.ts'

const AGENTS = 4000
const ROUNDS = 3
const ROUND_MS = 3000
const PER_SECOND = 20_000
/** Bytes of a write that is synced for comparison: as a turn of these agents has. */
const TURN_BYTES = 128 * 1024

const crypto = nodeCrypto()
const folder = await mkdtemp(join(tmpdir(), 'igor-bench-'))

/** Writes of a turn's size and syncs a second, and nothing else. */
const bareSyncs = async (): Promise<number> => {
  const file = await open(join(folder, 'bare'), 'a')
  const bytes = new Uint8Array(TURN_BYTES)
  const from = performance.now()
  let syncs = 0
  for (; performance.now() - from < ROUND_MS / 3; syncs++) {
    await file.write(bytes)
    await file.datasync()
  }
  await file.close()
  return (1000 * syncs) / (performance.now() - from)
}

try {
  const rates: number[] = []
  const bare: number[] = []
  const cpu: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(await bareSyncs())
    const files = await openFiles(join(folder, `data-${round}`))
    const store = await openLogStore(files, { random: (length) => crypto.random(length) })
    const before = process.cpuUsage()
    const rate = await journalTicks(store, AGENTS, ROUND_MS)
    const { user, system } = process.cpuUsage(before)
    rates.push(rate)
    cpu.push((user + system) / (rate * (ROUND_MS / 1000)))
    await store.close()
  }
  const rate = median(rates)
  report({ what: 'bare: 128 KiB written and synced', value: 1000 / median(bare), unit: 'ms' })
  report({
    what: `a journaled tick of ${AGENTS} agents, durable`,
    value: 1_000_000 / rate,
    unit: 'us',
    atMost: 1_000_000 / PER_SECOND,
    note: `${Math.round(rate)} a second, ${median(cpu).toFixed(1)} us of processor each`,
  })
} finally {
  await rm(folder, { recursive: true, force: true })
}
