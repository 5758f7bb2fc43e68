// The `sim` stage of `npm test`: new seeds, the ones that once failed, the same runs in both engines, and the planted faults.
import { randomInt } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { REGRESSIONS, simulate } from '../sim.mjs'
import { bundle } from './bundle.mjs'
import { compareEngines } from './engines.mjs'
import { findPlanted, misplaced } from './planted.mjs'

/** CI takes its time; whoever tests at a desk gets a taste. */
const IS_LONG = process.env.IGOR_SIM === 'long'
/** New ones each time. */
const SEEDS = IS_LONG ? 2000 : 60
/** Runs that are made in a page too. */
const COMPARED = 5

/** @returns {Promise<{passed: number, failed: number}>} */
async function simStage() {
  let [passed, failed] = [0, 0]
  const count = (holds, what) => {
    if (holds) passed++
    else failed++
    if (!holds) console.log(`FAIL ${what}`)
  }
  const base = randomInt(2 ** 40)
  console.log(`${SEEDS} seeds from ${base}, and ${REGRESSIONS.length} that once failed`)
  const runs = (function* () {
    for (const { why, ...run } of REGRESSIONS) yield run
    for (let i = 0; i < SEEDS; i++) yield { seed: base + i }
  })()
  const { summary, unseen, uncovered, text } = await simulate(runs)
  console.log(text)
  passed += summary.runs - summary.failed.length
  failed += summary.failed.length
  // So few seeds do not come everywhere.
  if (IS_LONG) count(unseen.length === 0, `no run came to: ${unseen.join('; ')}`)
  if (IS_LONG) count(uncovered.length === 0, `no process ended at: ${uncovered.join('; ')}`)

  const seeds = Array.from({ length: COMPARED }, (_, i) => base + i)
  for (const { seed, node, page } of await compareEngines(await bundle(), seeds))
    count(node === page, `seed ${seed} is another run in a page: ${page} for ${node}`)

  const lost = await misplaced()
  count(lost.length === 0, `planted in source that is not there any more: ${lost.join('; ')}`)
  if (!IS_LONG) return { passed, failed }
  await findPlanted({
    ondone: ({ name, seeds: after, within }) => {
      count(after !== undefined, `planted, and not found in ${within} seeds: ${name}`)
      if (after !== undefined) console.log(`found after ${after} of ${within} seeds: ${name}`)
    },
  })
  return { passed, failed }
}

const [report] = process.argv.slice(2)
const counts = await simStage()
if (report !== undefined) await writeFile(report, JSON.stringify(counts))
process.exitCode = counts.failed > 0 ? 1 : 0
