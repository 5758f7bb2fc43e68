// Where the browser that the tests drive is: named by the environment, brought by Playwright, or installed on the machine.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'

const installed = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

/** @returns {string | undefined} the path of a Chromium, or undefined where there is none yet */
export function findChromium() {
  const named = process.env.IGOR_CHROMIUM
  if (named) {
    if (!existsSync(named)) throw new Error(`IGOR_CHROMIUM names ${named}, which does not exist`)
    return named
  }
  const { chromium } = createRequire(import.meta.url)('playwright')
  const own = chromium.executablePath()
  return existsSync(own) ? own : installed.find((path) => existsSync(path))
}
