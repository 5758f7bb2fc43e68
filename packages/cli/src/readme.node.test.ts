/**
 * What the project's README shows is done here, as it stands there: samples are type-checked and run (the one for browsers
 * in e2e/readme.spec.ts), commands are given to a shell and their output is held against the one that is shown.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Server, startServer } from './testing/server.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const readme = await readFile(join(root, 'README.md'), 'utf8')
const call = promisify(execFile)

/** What a log or a list shows comes a moment after the command that led to it. */
const SHOWN_MS = 15_000
const AGAIN_MS = 200

/** Fenced blocks of one language. */
const blocks = (language: string): string[] =>
  [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, name, text = '']) => (name === language ? [text] : []))

const samples = blocks('ts').map((text) => ({ text, inBrowser: text.includes("'@igor/browser'") }))

let folder: string
let first: Server
const background: ChildProcess[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'igor-readme-'))
  await Promise.all(['agents', 'node_modules'].map((name) => symlink(join(root, name), join(folder, name), 'junction')))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  first = await startServer(join(folder, 'first'))
})

afterAll(async () => {
  await Promise.all([
    first?.end('SIGTERM'),
    ...background.map(async (child) => {
      const ended = once(child, 'exit')
      if (child.exitCode === null && child.kill()) await ended
    }),
  ])
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
})

it('has samples for Node.js and for browsers', () => {
  expect(samples.map(({ inBrowser }) => inBrowser).sort()).toEqual([false, true])
})

it.each(samples)(
  'its sample type-checks (in a browser: $inBrowser)',
  async ({ text, inBrowser }) => {
    const place = join(folder, inBrowser ? 'types-browser' : 'types-node')
    await mkdir(place)
    await writeFile(join(place, 'sample.ts'), text)
    const base = JSON.parse(await readFile(join(root, 'tsconfig.base.json'), 'utf8'))
    const options = {
      ...base.compilerOptions,
      ...(inBrowser ? { lib: [...base.compilerOptions.lib, 'dom', 'dom.iterable'] } : { types: ['node'] }),
      composite: false,
      declaration: false,
      noEmit: true,
    }
    await writeFile(join(place, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['sample.ts'] }))
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const { stdout } = await call(process.execPath, [tsc, '-p', place]).catch((error) => error)
    // What is wrong in the sources themselves is the build's to say.
    expect(
      String(stdout)
        .split('\n')
        .filter((line) => line.includes('sample.ts(')),
    ).toEqual([])
  },
  60_000,
)

it('its sample for Node.js runs, twice over the same data', async () => {
  const file = join(folder, 'tour.ts')
  await writeFile(file, samples.find(({ inBrowser }) => !inBrowser)?.text ?? '')
  for (let round = 0; round < 2; round++) {
    const { stdout } = await call(process.execPath, ['--conditions=source', '--disable-warning=ExperimentalWarning', file], {
      cwd: folder,
      env: { ...process.env, NODE_OPTIONS: '' },
    })
    expect(stdout.trim().split('\n').slice(-4)).toEqual([
      expect.stringMatching(/^tick \d+: noted: the door is green$/),
      expect.stringMatching(/^moved at tick \d+, stood still for \d+\.\d ms$/),
      expect.stringMatching(/^from tick 0 at 12D3KooW\w+$/),
      expect.stringMatching(/^from tick [1-9]\d* at 12D3KooW\w+$/),
    ])
  }
}, 60_000)

/** One command of a console block, and the lines that the README shows after it. */
interface Step {
  readonly command: string
  readonly shown: readonly string[]
}

const steps: Step[] = blocks('console').flatMap((block) =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const [command = '', ...shown] = text.trimEnd().split('\n')
      return { command, shown }
    }),
)

/** Without what differs from run to run: names made of keys, times, sizes, numbers. */
function shape(line: string): string {
  return line
    .replace(/12D3Ko(\w+|…\w+)/g, 'PEER')
    .replace(/(did:key:)?z6Mk\w+(…\w+)?/g, '$1AGENT')
    .replace(/\d+(\.\d+)? (ms|s|min|h|B|KiB|MiB)\b/g, 'MUCH')
    .replace(/\d+/g, '0')
    .replace(/\s+/g, ' ')
    .trim()
}

/** Every line that is shown was said, in that order; `…` stands for any others. */
function says(stdout: string, shown: readonly string[]): boolean {
  const said = stdout.split('\n').map(shape)
  let at = -1
  return shown
    .filter((line) => line !== '…')
    .map(shape)
    .every((line) => {
      at = said.indexOf(line, at + 1)
      return at !== -1
    })
}

it('its commands do what it shows', async () => {
  await mkdir(join(folder, 'my-agent'))
  await writeFile(join(folder, 'my-agent', 'agent.ts'), blocks('typescript')[0] ?? '')
  await writeFile(join(folder, 'my-agent', 'manifest.json'), blocks('json')[0] ?? '')
  await writeFile(join(folder, 'plain.wat'), blocks('wat')[0] ?? '')
  const shell = await makeShell()
  /** Peer ids as they stand in the README, and as they are here. */
  const peers = new Map<string, string>()
  const here = (command: string): string =>
    [...peers]
      .reduce((text, [shown, real]) => text.replaceAll(shown, real), command)
      .replace(/\/ip4\S+12D3KooW…/, addressOf(first))

  expect(steps.length).toBeGreaterThan(12)
  for (const { command, shown } of steps) {
    const what = `$ ${command}`
    if (/\bigor up\b/.test(command)) {
      const stdout = await shell.stay(here(command).replace(/--port \d+/, '--port 0'), shown)
      expect(says(stdout, shown), `${what}\n${stdout}`).toBe(true)
      peers.set(peerIn(shown.join('\n')), peerIn(stdout))
      continue
    }
    const lasting = /\bigor (ps|peers|logs) /.test(`${command} `)
    const deadline = Date.now() + SHOWN_MS
    let stdout = await shell.run(here(command))
    while (lasting && !says(stdout, shown) && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
      stdout = await shell.run(here(command))
    }
    expect(says(stdout, shown), `${what}\n${stdout}`).toBe(true)
  }
}, 180_000)

const peerIn = (text: string): string => /^ *peer id +(12D3KooW\w+)$/m.exec(text)?.[1] ?? ''

const addressOf = ({ multiaddrs }: Server): string => multiaddrs.find((address) => /\/tcp\/\d+\/p2p\//.test(address)) ?? ''

interface Shell {
  /** @returns what it wrote to stdout @throws Error when it fails */
  run(command: string): Promise<string>
  /** Starts what goes on until the tests end, and waits until it says what is shown. */
  stay(command: string, shown: readonly string[]): Promise<string>
}

/** A shell in the test's folder, where `npx` and `igor` are this project's, from source. */
async function makeShell(): Promise<Shell> {
  const bin = join(folder, 'bin')
  await mkdir(bin)
  const entry = fileURLToPath(new URL('./bin.ts', import.meta.url))
  const scripts = {
    npx: 'exec "$@"',
    igor: `exec "${process.execPath}" --conditions=source --disable-warning=ExperimentalWarning "${entry}" "$@"`,
  }
  for (const [name, text] of Object.entries(scripts)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`)
    await chmod(join(bin, name), 0o755)
  }
  const path = [bin, join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter)
  const options = { cwd: folder, env: { ...process.env, PATH: path, NODE_OPTIONS: '', IGOR_DATA_DIR: first.dataDir } }
  return {
    run: async (command) => (await call('sh', ['-c', command], options)).stdout,
    async stay(command, shown) {
      const child = spawn('sh', ['-c', `exec ${command}`], { ...options, stdio: ['ignore', 'pipe', 'inherit'] })
      background.push(child)
      let stdout = ''
      for await (const part of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
        stdout += part
        if (says(stdout, shown)) break
      }
      return stdout
    },
  }
}
