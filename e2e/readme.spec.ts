import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build } from 'esbuild'
import { expect, test } from './fixtures/test.ts'

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))

/** The sample for browsers of the project's README, and the workers that it names, as a page of the server would have them. */
async function bundleSample(): Promise<Map<string, string>> {
  const readme = await readFile(path('README.md'), 'utf8')
  const sample = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)]
    .map(([, text = '']) => text)
    .find((text) => text.includes("'@igor/browser'"))
  const entries = {
    '/sample.js': { stdin: { contents: sample ?? '', resolveDir: path('.'), loader: 'ts' } },
    '/worker.js': { entryPoints: [path('packages/browser/src/worker.ts')] },
    '/clock-worker.js': { entryPoints: [path('packages/browser/src/clock-worker.ts')] },
  } satisfies Record<string, BuildOptions>
  const bundles = new Map<string, string>()
  for (const [name, entry] of Object.entries(entries)) {
    const { outputFiles } = await build({
      ...entry,
      bundle: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      conditions: ['source', 'browser'],
      write: false,
    })
    bundles.set(name, outputFiles[0]?.text ?? '')
  }
  return bundles
}

test('the sample for browsers in the README is a node, and the same one after a reload', async ({ server, profile }) => {
  const home = await server('home')
  const bundles = await bundleSample()
  const context = await profile()
  const html = '<!doctype html><html lang="en"><title>sample</title><body></body><script type="module" src="/sample.js"></script>'
  await context.route(new URL('/sample.html', home.url).href, (route) => route.fulfill({ contentType: 'text/html', body: html }))
  for (const [name, body] of bundles) {
    await context.route(new URL(name, home.url).href, (route) => route.fulfill({ contentType: 'text/javascript', body }))
  }
  const page = await context.newPage()
  const said = async (): Promise<{ node: string; agent: string; tick: number; peers: number }> => {
    const text = (await page.locator('body').textContent()) ?? ''
    const [, node = '', agent = '', tick = '0', peers = '0'] =
      /^(\S+): (\S+) is at tick (\d+), (\d+) nodes in sight$/.exec(text) ?? []
    return { node, agent, tick: Number(tick), peers: Number(peers) }
  }

  await page.goto(new URL('/sample.html', home.url).href)
  await expect.poll(async () => (await said()).tick, { timeout: 15_000 }).toBeGreaterThan(2)
  await expect.poll(async () => (await said()).peers, { timeout: 15_000 }).toBe(1)
  const before = await said()

  await page.reload()
  await expect.poll(async () => (await said()).tick, { timeout: 15_000 }).toBeGreaterThan(before.tick)
  expect(await said()).toMatchObject({ node: before.node, agent: before.agent })
})
