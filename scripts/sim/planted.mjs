// Faults that are planted in core, one at a time, in the simulator's bundle alone: core's source knows nothing of them. Each
// names a piece of source, exactly, and what stands there instead; where that piece is not found any more, the check fails.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from '../workspace.mjs'
import { bundle } from './bundle.mjs'
import { openThreads } from './threads.mjs'

/** @type {(import('./bundle.mjs').Fault & {name: string, focus?: string[], run?: object, within: number})[]} `within`: seeds in which it has to be found; `run`: what they have in common */
export const PLANTED = [
  {
    name: 'nothing is synced that has a vital row, such as a handoff record',
    file: 'core/src/store/log-store.ts',
    line: 'if (vital.length > 0 || group.some(',
    faulty: 'if (vital.length === 0 && group.some(',
    within: 100,
  },
  {
    name: 'an accept is sent before it is durable',
    file: 'core/src/handoff/decide.ts',
    line: 'await context.store.commit({\n    put: [\n      ...arrival.rows,',
    faulty: 'void context.store.commit({\n    put: [\n      ...arrival.rows,',
    within: 1000,
  },
  {
    name: 'a refusal is a mere message',
    file: 'core/src/handoff/decide.ts',
    line: 'await context.store.commit({\n    put: [[keys.refusal(',
    faulty: 'void ({\n    put: [[keys.refusal(',
    within: 1000,
  },
  {
    name: 'the source stays active after its handoff',
    file: 'core/src/authority/row.ts',
    line: "state: 'handoff-pending',\n  slot: above(row, handoff),",
    faulty: "state: 'active-owner' as never,\n  slot: above(row, handoff),",
    within: 50,
  },
  {
    name: 'the incarnation is not checked',
    file: 'core/src/handoff/status.ts',
    line: 'if (hexOf(ready.incarnation) !== hexOf(context.incarnation)) {',
    faulty: 'if (hexOf(ready.incarnation) === undefined) {',
    focus: ['disk is an older copy elsewhere', 'line is cut'],
    within: 3000,
  },
  {
    name: 'a store that was copied elsewhere goes on',
    file: 'core/src/node/residents.ts',
    line: "const lived = ledger.row.state === 'active-owner' || ledger.row.state === 'handoff-pending'",
    faulty: 'const lived = false',
    focus: ['disk is an older copy elsewhere'],
    within: 1000,
  },
  {
    name: 'any file of an agent is authority',
    file: 'core/src/files/file.ts',
    line: 'if (!released && !plan.force) {',
    faulty: 'if (!released && plan.force === undefined) {',
    within: 300,
  },
  {
    name: 'a message is acknowledged, and a tick shown, before they are durable',
    file: 'core/src/agent/hosted.ts',
    line: 'const durable = seen || now - durableAt >= DURABLE_MS',
    faulty: 'const durable = seen === undefined || now - durableAt >= DURABLE_MS',
    within: 300,
  },
  {
    name: 'a message that comes again is taken again',
    file: 'core/src/agent/inbox.ts',
    line: 'if (hasSeen(box, id)) return box',
    faulty: 'if (hasSeen(box, id) && id.length === 0) return box',
    within: 300,
  },
  {
    name: 'the journal is written one entry short',
    file: 'core/src/agent/journal.ts',
    line: 'const { encoded, last: header } = encode(entries)',
    faulty: 'const { encoded, last: header } = encode(entries.slice(0, -1))',
    within: 300,
  },
  {
    name: 'a restart runs the journal again without its last entry',
    file: 'core/src/agent/journal.ts',
    line: 'const found = decodeEntries(stored.subarray(head))',
    faulty: 'const found = decodeEntries(stored.subarray(head)).slice(0, -1)',
    within: 1000,
  },
  {
    name: 'compaction forgets what was written meanwhile',
    file: 'core/src/store/log-store.ts',
    line: 'changed?.add(key)',
    faulty: 'void changed',
    within: 2000,
  },
  {
    name: 'what an agent has not read is left behind',
    file: 'core/src/agent/hosted.ts',
    line: 'const leaves = hasNews || ledger.since.bytes > 0',
    faulty: 'const leaves = hasNews',
    within: 1000,
  },
  {
    name: 'a state that was not written counts as known',
    file: 'core/src/agent/hosted.ts',
    line: 'runner.unplace()\n      throw error',
    faulty: 'throw error',
    focus: ['disk is full'],
    within: 2000,
  },
  {
    name: 'a batch that failed half-way stays',
    file: 'core/src/store/log-store.ts',
    line: 'await files.truncate(before.name, before.length)',
    faulty: 'void before.name',
    focus: ['disk is full', 'process is killed'],
    within: 2000,
  },
  {
    name: 'a witness cosigns without the blocks',
    file: 'core/src/witness/settle.ts',
    line: 'if (needs.missing.length === 0) break',
    faulty: 'if (needs.missing.length >= 0) break',
    run: { witness: true, liars: 0, focus: ['process is killed', 'disk is lost'] },
    within: 300,
  },
  {
    name: 'a witness takes over right after it was started',
    file: 'core/src/witness/heads.ts',
    line: 'shared ? clock.elapsed() : started)',
    faulty: 'shared ? clock.elapsed() : -1e9)',
    run: { witness: true, liars: 0, focus: ['witness dies'] },
    within: 300,
  },
  {
    name: 'an agent ticks before its accept is cosigned',
    file: 'core/src/witness/tenure.ts',
    line: 'return stands ? 0 : leftOf(leasing, reading())',
    faulty: 'return isActive(ledger) && (stands || leftOf(leasing, reading()) === 0) ? 1000 : leftOf(leasing, reading())',
    run: { witness: true, liars: 0 },
    within: 300,
  },
  {
    name: 'records are cosigned that do not extend the head',
    file: 'core/src/witness/head.ts',
    line: 'if (own === undefined) {',
    faulty: 'if (own === undefined && whole) return begin(witness, shown)\n  if (own === undefined) {',
    run: { witness: true },
    within: 1000,
  },
]

/** @returns {Promise<string[]>} names of the faults whose piece of source is not there, or not once: code has moved */
export async function misplaced() {
  const names = []
  for (const { name, file, line } of PLANTED) {
    const source = await readFile(join(root, 'packages', file), 'utf8').catch(() => '')
    if (source.split(line).length !== 2) names.push(name)
  }
  return names
}

/**
 * Runs seeds with each fault until one fails.
 *
 * @param {{from?: number, threads?: number, only?: string, tree?: string, ondone?: (found: object) => void}} [options]
 * @returns {Promise<{name: string, seeds: number | undefined, failure: string}[]>} `seeds`: after how many; undefined: not found
 */
export async function findPlanted({ from = 1, threads, only, tree, ondone = () => {} } = {}) {
  const results = []
  for (const fault of PLANTED) {
    if (only !== undefined && !fault.name.includes(only)) continue
    const pool = await openThreads(await bundle({ fault, tree }), { threads })
    let seeds = 0
    let failure
    try {
      const runs = (function* () {
        for (let i = 0; i < fault.within && failure === undefined; i++)
          yield { seed: from + i, ...fault.run, ...(fault.focus ? { focus: fault.focus } : {}) }
      })()
      await pool.all(runs, (run, result) => {
        if (failure !== undefined) return true
        seeds++
        if (result.failures.length > 0) failure = `seed ${run.seed}: ${result.failures[0]}`
        return failure !== undefined
      })
    } finally {
      await pool.close()
    }
    const found = {
      name: fault.name,
      seeds: failure === undefined ? undefined : seeds,
      within: fault.within,
      failure: failure ?? '',
    }
    results.push(found)
    ondone(found)
  }
  return results
}
