import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Locator, Page } from '@playwright/test'
import { ballast } from './fixtures/agents.ts'
import { slowness } from './fixtures/slowness.ts'
import { expect, test } from './fixtures/test.ts'

/** A page that does not answer for longer than this is felt to stick. */
const BLOCKED_MS = 50
/** What else runs on the machine interrupts a task, too: the best run counts. */
const RUNS = 3

/** The longest task of the page's own thread while something is done, best of some runs. Tasks below 50 ms count as none. */
async function longestTask(page: Page, task: () => Promise<void>): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < RUNS && best > 0; run++) {
    const watch = await page.evaluateHandle(() => {
      const seen: number[] = [0]
      const note = (entries: PerformanceEntryList) => void seen.push(...entries.map(({ duration }) => duration))
      const observer = new PerformanceObserver((list) => note(list.getEntries()))
      observer.observe({ type: 'longtask' })
      const stop = () => {
        note(observer.takeRecords())
        observer.disconnect()
        return Math.max(...seen)
      }
      return { stop }
    })
    await task()
    best = Math.min(best, await watch.evaluate(({ stop }) => stop()))
  }
  return best
}

test('an agent is run again on the page, here and from a file, and the page goes on meanwhile', async ({
  server,
  tab,
  folder,
}) => {
  const home = await server('home')
  const here = await tab(home.url)
  const { page } = here
  const agent = await here.startFiles(...(await ballast(4, 20)))
  const panel = await here.open(agent)
  await here.ticks(agent, 30)

  const run = async (within: Locator) => {
    await within.getByTestId('replay').click()
    await expect(within.getByTestId('replay-verdict')).toHaveAttribute('data-verdict', 'ok')
  }
  const patience = await slowness()
  expect(await longestTask(page, () => run(panel))).toBeLessThanOrEqual(BLOCKED_MS * patience)
  const said = (await panel.getByTestId('replay-verdict').textContent()) ?? ''
  // What it did since the last record is run again too.
  const [, first, last] = /^Ran [\d,]+ ticks again, (\d+) to (\d+): .* came out the same, to the bit/.exec(said) ?? []
  expect(Number(last) - Number(first)).toBeGreaterThanOrEqual(29)

  const path = join(folder, 'copy.car')
  await here.saveCopy(path)
  const dialog = await here.drop({ name: 'copy.car', mimeType: 'application/vnd.ipld.car', buffer: await readFile(path) })
  expect(await longestTask(page, () => run(dialog))).toBeLessThanOrEqual(BLOCKED_MS * patience)
  await expect(dialog.getByTestId('replay-verdict')).toContainText('came out the same, to the bit')
})
