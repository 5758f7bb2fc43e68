import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AgentStatus, Move } from '@igor/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LogLine } from './control/methods.ts'
import { testFolder } from './testing/folder.ts'
import { igor } from './testing/io.ts'
import { type Server, spawnIgor, startServer } from './testing/server.ts'

const agents = fileURLToPath(new URL('../../../agents', import.meta.url))
const wasm = (name: string): string => join(agents, name, `${name}.wasm`)

let folder: string
let a: Server
let b: Server

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'igor-up-'))
  ;[a, b] = await Promise.all([startServer(join(folder, 'a'), '--name', 'first'), startServer(join(folder, 'b'))])
  await a.ask('peers', '--connect', b.multiaddrs[0] as string)
})

afterAll(async () => {
  await Promise.all([a?.end('SIGTERM'), b?.end('SIGTERM')])
  await rm(folder, { recursive: true, force: true })
})

/** The agent's log lines, at least two, until one fulfils the condition. */
async function logsUntil(server: Server, agent: string, wanted: (line: LogLine) => boolean): Promise<LogLine[]> {
  const child = spawnIgor('logs', '-f', agent, '--json', '--data-dir', server.dataDir)
  const lines: LogLine[] = []
  let rest = ''
  for await (const part of child.stdout as AsyncIterable<Buffer>) {
    const text = rest + part.toString('utf8')
    const complete = text.split('\n')
    rest = complete.pop() ?? ''
    for (const line of complete) lines.push(JSON.parse(line))
    if (lines.length > 1 && lines.some(wanted)) break
  }
  child.kill()
  await once(child, 'exit')
  return lines
}

/** The counter's own count, line for line. */
const counts = (lines: readonly LogLine[]): number[] => lines.map(({ text }) => Number(/^tick (\d+)$/.exec(text)?.[1]))

function expectConsecutive(numbers: readonly number[]): void {
  expect(numbers.length).toBeGreaterThan(1)
  expect(numbers).toEqual(numbers.map((_, i) => (numbers[0] as number) + i))
}

describe('igor up', () => {
  it('says who it is, serves health, metrics and its description', async () => {
    expect(a.peerId).toMatch(/^12D3KooW/)
    expect(a.multiaddrs.every((multiaddr) => multiaddr.endsWith(`/p2p/${a.peerId}`))).toBe(true)
    expect(a.url).toMatch(/^http:\/\/localhost:\d+\/$/)
    expect(await (await fetch(`${a.url}healthz`)).json()).toEqual({ status: 'ok', peerId: a.peerId })
    const described = (await (await fetch(`${a.url}node.json`)).json()) as { name: string; multiaddrs: string[] }
    expect(described).toEqual({ peerId: a.peerId, name: 'first', multiaddrs: a.multiaddrs, iceServers: [], witness: a.peerId })
    const metrics = await (await fetch(`${a.url}metrics`)).text()
    for (const name of ['igor_ticks_total', 'igor_agents{state="active"}', 'igor_peers{link="tcp"}', 'igor_store_bytes']) {
      expect(metrics).toMatch(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} \\d+$`, 'm'))
    }
    expect(await a.ask('id')).toMatchObject({ peerId: a.peerId, name: 'first', multiaddrs: a.multiaddrs, url: a.url })
  })

  it('keeps its folder to itself', async () => {
    const again = spawnIgor('up', '--port', '0', '--data-dir', a.dataDir, '--json')
    const [stderr, [code]] = await Promise.all([readAll(again.stderr), once(again, 'exit')])
    expect(code).toBe(1)
    expect(JSON.parse(stderr)).toEqual({
      code: 'STORE_BUSY',
      message: `a node already runs in ${a.dataDir} (process ${a.child.pid}): igor down, or name another folder with --data-dir`,
    })
    if (process.platform !== 'win32') expect((await stat(a.dataDir)).mode & 0o777).toBe(0o700)
  })

  it('takes no other port than the one it is given', async () => {
    const dataDir = await testFolder()
    const { port } = new URL(a.url)
    const { code, stdout, stderr } = await igor(['up', '--port', port, '--data-dir', dataDir])
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(new RegExp(`^igor: port ${port} is busy: .*--port.*\n$`))
  })
})

describe('an agent', () => {
  it('is started, listed, written to, read, moved and checked', async () => {
    const started = await a.ask<AgentStatus>('run', wasm('counter'), '--name', 'scout', '--budget', '2.5')
    expect(started).toMatchObject({ agent: expect.stringMatching(/^did:key:z6Mk/), name: 'scout', budget: '2500000' })
    const [listed] = (await a.ask<AgentStatus[]>('ps')).filter(({ name }) => name === 'scout')
    expect(listed).toMatchObject({
      agent: started.agent,
      state: 'active',
      epoch: 1,
      budget: '2500000',
      head: expect.any(String),
      here: true,
    })
    const before = await logsUntil(a, 'scout', ({ text }) => text === 'tick 5')
    expectConsecutive(counts(before))
    expect(counts(before)[0]).toBe(1)

    const move = await a.ask<Move>('migrate', 'scout', b.peerId)
    expect(move).toEqual({
      agent: started.agent,
      from: a.peerId,
      to: b.peerId,
      tick: expect.any(Number),
      downtimeMs: expect.any(Number),
    })
    const after = await logsUntil(b, 'scout', ({ tick }) => tick > move.tick + 3)
    expectConsecutive(counts(after))
    expect(after.find(({ tick }) => tick === move.tick + 1)?.text).toBe(`tick ${move.tick + 1}`)
    expect((await a.ask<AgentStatus[]>('ps')).find(({ name }) => name === 'scout')).toMatchObject({ host: b.peerId, here: false })
    expect((await b.ask<AgentStatus[]>('ps')).find(({ name }) => name === 'scout')).toMatchObject({
      host: b.peerId,
      here: true,
      epoch: 2,
    })

    // From where its owner is, wherever it lives.
    expect((await a.ask<AgentStatus>('pause', 'scout')).agent).toBe(started.agent)
    await expect(b.ask('resume', 'scout')).rejects.toThrow('NOT_OWNER')
    await a.ask('resume', 'scout')
    expect((await a.ask<AgentStatus>('fund', 'scout', '1.5')).agent).toBe(started.agent)
    expect((await b.ask<AgentStatus[]>('ps')).find(({ name }) => name === 'scout')).toMatchObject({ budget: '4000000' })
    const verdict = await a.ask<{ hosts: { peer: string }[] }>('verify', 'scout')
    expect(verdict).toMatchObject({ ok: true, agent: started.agent, epoch: 2 })
    expect(verdict.hosts.map(({ peer }) => peer)).toEqual([a.peerId, b.peerId])

    // And back again, by its multiaddr, ordered by its owner.
    const back = await a.ask<Move>('migrate', started.agent, a.multiaddrs[0] as string)
    expect(back).toMatchObject({ from: b.peerId, to: a.peerId })
    expectConsecutive(counts(await logsUntil(a, 'scout', ({ tick }) => tick > back.tick + 2)))
    expect(await a.igor('retire', 'scout', '--yes')).toMatchObject({ code: 0 })
    expect((await a.ask<AgentStatus[]>('ps')).find(({ name }) => name === 'scout')).toMatchObject({ state: 'retired' })
  })

  it('takes messages, from a text, a file, and standard input', async () => {
    await a.ask('run', wasm('scribe'), '--name', 'notes', '--init', 'first')
    expect(await a.igor('send', 'notes', 'second', 'note')).toEqual({ code: 0, stdout: 'notes has it\n', stderr: '' })
    const file = join(await testFolder(), 'note.txt')
    await writeFile(file, 'third')
    expect(await a.ask('send', 'notes', '--file', file)).toMatchObject({ name: 'notes', bytes: 5 })
    await igor(['send', 'notes', '--file', '-', '--data-dir', a.dataDir], { stdin: 'fourth' })
    const lines = await logsUntil(a, 'notes', ({ text }) => text === 'noted #4')
    expect(lines.map(({ text }) => text).slice(-3)).toEqual(['noted #2', 'noted #3', 'noted #4'])
    const watched = await igor(['watch', 'notes', '--data-dir', a.dataDir], { signal: AbortSignal.timeout(500) })
    expect(watched.stdout).toContain('#3  third')
    await a.ask('retire', 'notes')
  })

  it('is exported, inspected, verified, and refused when a byte is flipped', async () => {
    const cwd = await testFolder()
    const { agent } = await a.ask<AgentStatus>('run', wasm('companion'), '--name', 'copied')
    const at = (...args: string[]) => igor([...args, '--data-dir', a.dataDir], { cwd })
    expect(await at('export', 'copied')).toMatchObject({ code: 0, stderr: '' })
    expect((await at('export', 'copied')).stderr).toMatch(/already there/)
    expect(JSON.parse((await at('verify', 'copied.car', '--json')).stdout)).toMatchObject({
      ok: true,
      agent,
      epoch: 1,
      records: expect.any(Number),
      tick: expect.any(Number),
      hosts: [{ peer: a.peerId, epoch: 1 }],
    })
    for (const what of ['copied.car', '.', 'copied'])
      expect(JSON.parse((await at('verify', '--replay', what, '--json')).stdout)).toMatchObject({
        ok: true,
        agent,
        replay: { verdict: 'consistent', fromTick: 0, toTick: expect.any(Number), states: expect.any(Number), doubts: [] },
      })
    expect((await at('verify', '--replay', 'copied.car')).stdout).toMatch(/replay: consistent; ticks 0 to \d+ run again/)
    expect(JSON.parse((await igor(['inspect', 'copied.car', '--json'], { cwd })).stdout)).toMatchObject({
      verified: true,
      agent: { agent },
    })
    expect((await igor(['inspect', 'copied.car'], { cwd })).stdout).toContain('genesis')

    const bytes = await readFile(join(cwd, 'copied.car'))
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1
    await writeFile(join(cwd, 'flipped.car'), bytes)
    const flipped = await igor(['verify', 'flipped.car', '--json'], { cwd })
    expect(flipped.code).toBe(1)
    expect(JSON.parse(flipped.stdout)).toMatchObject({ ok: false, code: expect.any(String), message: expect.any(String) })
    expect((await igor(['verify', 'flipped.car'], { cwd })).stderr).toMatch(/^igor: does not hold: /)
    expect((await igor(['inspect', 'flipped.car'], { cwd })).stdout).toContain('NOT VERIFIED')
    const imported = await igor(['import', 'flipped.car', '--data-dir', b.dataDir], { cwd })
    expect([imported.code, imported.stdout]).toEqual([1, ''])
    // A copy is not the agent: whoever holds no key of its owner cannot go on with it.
    expect((await igor(['import', 'copied.car', '--data-dir', b.dataDir], { cwd })).code).toBe(1)
    expect((await b.ask<AgentStatus[]>('ps')).some((status) => status.agent === agent)).toBe(false)
    await a.ask('retire', 'copied')
  })

  it('leaves in a file for the node that gave its word, and only that one goes on', async () => {
    const cwd = await testFolder()
    const { agent } = await a.ask<AgentStatus>('run', wasm('counter'), '--name', 'traveller')
    await logsUntil(a, 'traveller', ({ text }) => text === 'tick 3')
    expect((await igor(['id', '--ready', '-o', 'b.ready', '--data-dir', b.dataDir], { cwd })).code).toBe(0)
    const exported = await igor(['export', 'traveller', '--to', 'b.ready', '--json', '--data-dir', a.dataDir], { cwd })
    expect(JSON.parse(exported.stdout)).toMatchObject({ agent, file: 'traveller.car', copy: false })
    expect((await a.ask<AgentStatus[]>('ps')).find((status) => status.agent === agent)?.state).not.toBe('active')
    const { tick } = JSON.parse((await igor(['verify', 'traveller.car', '--json'], { cwd })).stdout)
    const imported = await igor(['import', 'traveller.car', '--json', '--data-dir', b.dataDir], { cwd })
    expect([imported.code, imported.stderr]).toEqual([0, ''])
    const after = await logsUntil(b, 'traveller', (line) => line.tick > tick + 2)
    expect(counts(after)[0]).toBe(tick + 1)
    expectConsecutive(counts(after))

    // Its owner's keys, brought to the other node, command it there.
    await expect(b.ask('pause', 'traveller')).rejects.toThrow('NOT_OWNER')
    await igor(['keys', 'export', '-o', 'a.keys', '--data-dir', a.dataDir], { cwd })
    if (process.platform !== 'win32') expect((await stat(join(cwd, 'a.keys'))).mode & 0o777).toBe(0o600)
    const keys = await igor(['keys', 'import', 'a.keys', '--data-dir', b.dataDir], { cwd })
    expect(keys).toMatchObject({ code: 0, stdout: 'this node holds 2 keys now\n' })
    await b.ask('retire', 'traveller')
    const shown = await igor(['keys', 'export', '--json', '--data-dir', b.dataDir], { cwd })
    expect(JSON.parse(shown.stdout)).toEqual({ keys: [expect.stringMatching(/^[0-9a-f]{64}$/), expect.any(String)] })
  })

  it('is refused with a reason when it is none', async () => {
    const cwd = await testFolder()
    await writeFile(join(cwd, 'text.wasm'), 'not wasm')
    await writeFile(join(cwd, 'manifest.json'), '{"capabilities": {"teleport": {"version": 1}}}')
    const none = await igor(
      ['run', 'text.wasm', '--manifest', join(agents, 'counter/manifest.json'), '--json', '--data-dir', a.dataDir],
      { cwd },
    )
    expect(JSON.parse(none.stderr)).toMatchObject({ code: 'BAD_MODULE' })
    const unknown = await igor(['run', wasm('counter'), '--manifest', 'manifest.json', '--json', '--data-dir', a.dataDir], {
      cwd,
    })
    expect(JSON.parse(unknown.stderr)).toMatchObject({ code: 'BAD_MANIFEST', message: expect.stringContaining('teleport') })
    await writeFile(join(cwd, 'manifest.json'), '{}')
    const denied = await igor(['run', wasm('counter'), '--manifest', 'manifest.json', '--json', '--data-dir', a.dataDir], { cwd })
    expect(JSON.parse(denied.stderr)).toMatchObject({ code: 'CAPABILITY_NOT_GRANTED', message: expect.stringContaining('log') })
    for (const [command, code] of [
      [['send', 'nobody', 'x'], 'UNKNOWN_AGENT'],
      [['logs', 'nobody'], 'UNKNOWN_AGENT'],
      [['export', 'nobody'], 'UNKNOWN_AGENT'],
    ] as const) {
      const { stderr } = await igor([...command, '--json', '--data-dir', a.dataDir], { cwd })
      expect(JSON.parse(stderr).code, command.join(' ')).toBe(code)
    }
    await expect(stat(join(cwd, 'nobody.car'))).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('a node that stops', () => {
  it('by a signal or igor down frees its folder, and its agents go on with the next', async () => {
    const dataDir = join(await testFolder(), 'data')
    const first = await startServer(dataDir)
    await first.ask('run', wasm('counter'), '--name', 'scout')
    await logsUntil(first, 'scout', ({ text }) => text === 'tick 3')
    expect(await first.end('SIGTERM')).toBe(0)
    expect(first.stderr()).toBe('')
    await expect(stat(join(dataDir, 'control.json'))).rejects.toMatchObject({ code: 'ENOENT' })

    const second = await startServer(dataDir)
    expect(second.peerId).toBe(first.peerId)
    const on = counts(await logsUntil(second, 'scout', ({ tick }) => tick > 6))
    expectConsecutive(on)
    expect(await second.igor('down')).toMatchObject({ code: 0, stdout: `stopped the node in ${dataDir}\n` })
    expect(await second.end('SIGTERM')).toBe(0)

    const third = await startServer(dataDir)
    expect(await third.end('SIGKILL')).toBeNull()
    const fourth = await startServer(dataDir)
    const [status] = await fourth.ask<AgentStatus[]>('ps')
    expect(status).toMatchObject({ name: 'scout', state: 'active' })
    expect(await fourth.end('SIGINT')).toBe(0)
  })
})

async function readAll(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = ''
  for await (const part of stream as NodeJS.ReadableStream) text += part.toString()
  return text
}
