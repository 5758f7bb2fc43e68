// The same seeds in Node.js and in a page: the same runs, byte for byte.
import { chromium } from 'playwright'
import { findChromium } from '../chromium.mjs'
import { openThreads } from './threads.mjs'

const PLACE = 'http://sim.localhost/'

/**
 * @param {string} source of the bundle
 * @param {number[]} seeds
 * @returns {Promise<{seed: number, node: string, page: string}[]>} hashes of the runs
 */
export async function compareEngines(source, seeds) {
  const node = new Map()
  const pool = await openThreads(source, { threads: 1 })
  try {
    await pool.all(
      seeds.map((seed) => ({ seed })),
      (run, result) => void node.set(run.seed, result?.hash ?? 'it did not end'),
    )
  } finally {
    await pool.close()
  }
  const path = findChromium()
  const browser = await chromium.launch({ args: ['--no-sandbox'], ...(path === undefined ? {} : { executablePath: path }) })
  try {
    const page = await browser.newPage()
    await page.route(`${PLACE}**`, (route) =>
      route.request().url().endsWith('.mjs')
        ? route.fulfill({ contentType: 'text/javascript', body: source })
        : route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>sim</title>' }),
    )
    await page.goto(PLACE)
    const results = []
    for (const seed of seeds) {
      const hash = await page.evaluate(
        async ([module, one]) => (await (await import(module)).runSeed({ seed: one })).hash,
        [`${PLACE}sim.mjs`, seed],
      )
      results.push({ seed, node: node.get(seed), page: hash })
    }
    return results
  } finally {
    await browser.close()
  }
}
