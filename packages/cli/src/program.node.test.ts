import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { commands } from './commands/index.ts'
import { testFolder } from './testing/folder.ts'
import { igor } from './testing/io.ts'
import { VERSION } from './version.ts'

const names = [
  ...[
    'up',
    'down',
    'id',
    'run',
    'ps',
    'logs',
    'watch',
    'peers',
    'send',
    'migrate',
    'pause',
    'resume',
    'fund',
    'upgrade',
    'retire',
    'witness',
    'recover',
    'simulate',
  ],
  ...['export', 'import', 'inspect', 'verify', 'proofs', 'proofs export', 'keys', 'keys export', 'keys import'],
]
/** Commands that need a running node, with arguments that would do. */
const asking: readonly (readonly string[])[] = [
  ['down'],
  ['id'],
  ['id', '--ready', '-o', 'x'],
  ['ps'],
  ['logs', 'scout'],
  ['watch', 'scout'],
  ['peers'],
  ['proofs'],
  ['proofs', 'export', '12D3', '-o', 'x'],
  ['send', 'scout', 'hello'],
  ['migrate', 'scout', '12D3'],
  ['pause', 'scout'],
  ['resume', 'scout'],
  ['fund', 'scout', '2.5'],
  ['retire', 'scout', '--yes'],
  ['witness', 'scout', 'none'],
  ['recover', 'scout'],
  ['export', 'scout'],
  ['keys', 'export'],
]

describe('help', () => {
  it.each(names)('of %s has examples and --json', async (name) => {
    const { code, stdout, stderr } = await igor([...name.split(' '), '--help'])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain(`Usage: igor ${name}`)
    expect(stdout).toContain(`Examples:\n  $ igor ${name}`)
    expect(stdout).toContain('--json')
    // Scripts and people read it in a window of 80 columns.
    for (const line of stdout.split('\n').filter((line) => !line.includes('$ igor'))) expect(line.length).toBeLessThanOrEqual(80)
  })

  it('lists every command', async () => {
    const { code, stdout } = await igor(['--help'])
    expect(code).toBe(0)
    for (const name of names.filter((name) => !name.includes(' '))) expect(stdout).toMatch(new RegExp(`^ {2}${name} `, 'm'))
    expect(commands({} as never).length).toBe(names.filter((name) => !name.includes(' ')).length)
    expect((await igor(['help', 'run'])).stdout).toContain('Usage: igor run')
  })

  it('comes with exit code 2 where a command is missing', async () => {
    expect(await igor([])).toMatchObject({ code: 2, stdout: expect.stringContaining('First steps') })
  })

  it('tells the version of the package', async () => {
    const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'))
    expect(VERSION).toBe(version)
    expect(await igor(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })
})

describe('wrong usage', () => {
  it.each([
    [['pss'], "igor: unknown command 'pss' (did you mean ps?): see igor --help\n"],
    [['ps', '--al'], "igor: unknown option '--al' (did you mean --all?): see igor ps --help\n"],
    [['run'], "igor: missing required argument 'file': see igor run --help\n"],
    [['ps', 'x'], "igor: too many arguments for 'ps'. Expected 0 arguments but got 1: x: see igor ps --help\n"],
    [['keys'], 'igor: which command? see igor keys --help\n'],
    [['up', '--port', '99999'], expect.stringContaining('not a port from 0 to 65532')],
    [['up', '--price', 'much'], expect.stringContaining('not an amount')],
    [['up', '--ice-server', 'example.org'], expect.stringContaining('not like stun:')],
    [['up', '--tls-cert', 'x'], expect.stringContaining('go together')],
    [['logs', 'a', '-n', '5000'], expect.stringContaining('not a number from 0 to 1000')],
    [['run', 'a.wasm', '--budget', 'x'], expect.stringContaining('not an amount')],
    [['import', 'scout.car', '--witness', 'none'], expect.stringContaining('that takes --force')],
    [['recover', 'scout', '--force', '--witness', 'x'], expect.stringContaining('igor witness')],
    [['send', 'scout'], expect.stringContaining('either a text or --file')],
    [['send', 'scout', 'x', '--file', 'y'], expect.stringContaining('either a text or --file')],
  ])('%j exits with 2 and one line', async (args, stderr) => {
    const ran = await igor(args)
    expect(ran).toEqual({ code: 2, stdout: '', stderr })
    expect(ran.stderr.split('\n').length).toBe(2)
  })

  it('is JSON on stderr with --json', async () => {
    const { code, stderr } = await igor(['ps', '--all', '--nope', '--json'])
    expect(code).toBe(2)
    expect(JSON.parse(stderr)).toMatchObject({ code: 'USAGE', message: expect.stringContaining('--nope') })
  })
})

describe('without a running node', () => {
  it.each(asking)('igor %s %s says how to start one', async (...args) => {
    const cwd = await testFolder()
    const dataDir = join(cwd, 'data')
    const message = `no node runs in ${dataDir}: start one with igor up`
    expect(await igor([...args, '--data-dir', dataDir], { cwd })).toEqual({ code: 1, stdout: '', stderr: `igor: ${message}\n` })
    const { stderr } = await igor([...args, '--json'], { cwd, env: { IGOR_DATA_DIR: 'data' } })
    expect(JSON.parse(stderr)).toEqual({ code: 'NO_NODE', message })
    // What was to be written is not there half.
    await expect(stat(join(cwd, 'x'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('igor run looks at the file first', async () => {
    const cwd = await testFolder()
    expect((await igor(['run', 'none.wasm'], { cwd })).stderr).toBe('igor: cannot read none.wasm: no such file or folder\n')
    await mkdir(join(cwd, 'folder'))
    expect((await igor(['run', 'folder'], { cwd })).stderr).toBe('igor: folder is a folder, not a file\n')
  })
})

describe('files that are none', () => {
  it('inspect and verify say so, with a code', async () => {
    const cwd = await testFolder()
    await writeFile(join(cwd, 'text.car'), 'this is not an agent')
    await writeFile(join(cwd, 'empty.car'), '')
    for (const file of ['text.car', 'empty.car']) {
      const inspected = await igor(['inspect', file], { cwd })
      expect([inspected.code, inspected.stdout], file).toEqual([1, ''])
      expect(inspected.stderr).toMatch(/^igor: .* is not an agent's file: .*\n$/)
      const verified = await igor(['verify', file, '--json'], { cwd })
      expect(verified.code).toBe(1)
      expect(JSON.parse(verified.stdout)).toEqual({ ok: false, code: 'BAD_CAR', record: null, message: expect.any(String) })
    }
    const missing = await igor(['verify', 'none.car', '--json'], { cwd, env: { IGOR_DATA_DIR: cwd } })
    expect(missing.code).toBe(1)
    expect(JSON.parse(missing.stdout)).toMatchObject({ ok: false, code: 'BAD_FILE' })
    expect((await igor(['verify', '.'], { cwd })).stderr).toContain('there is no checkpoint')
  })

  it('a file of 10 GB is refused unread', async () => {
    const cwd = await testFolder()
    const { open } = await import('node:fs/promises')
    const handle = await open(join(cwd, 'huge.car'), 'w')
    await handle.truncate(10 * 1024 ** 3)
    await handle.close()
    const start = performance.now()
    for (const args of [
      ['inspect', 'huge.car'],
      ['verify', 'huge.car'],
      ['import', 'huge.car'],
      ['run', 'huge.car'],
    ]) {
      const { code, stderr } = await igor(args, { cwd, env: { IGOR_DATA_DIR: cwd } })
      expect(code, args[0]).toBe(1)
      expect(stderr, args[0]).toContain('more than the')
    }
    expect(performance.now() - start).toBeLessThan(1000)
  })

  it('keys that are none are not sent', async () => {
    const cwd = await testFolder()
    await writeFile(join(cwd, 'bad.keys'), 'password\n')
    expect((await igor(['keys', 'import', 'bad.keys'], { cwd })).stderr).toContain('line 1')
    expect((await igor(['keys', 'import', '-'], { cwd, stdin: '0'.repeat(64), env: { IGOR_DATA_DIR: cwd } })).stderr).toContain(
      'no node runs',
    )
  })
})
