import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openLogStore } from '@igor/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createNode } from './create-node.ts'
import { nodeCrypto } from './crypto.ts'
import { openFiles } from './files.ts'

const COMMITTER = fileURLToPath(new URL('./kill.test.committer.ts', import.meta.url))
const HOST = fileURLToPath(new URL('./kill.test.host.ts', import.meta.url))
const COUNTER = fileURLToPath(new URL('../../../agents/counter/counter.wasm', import.meta.url))
const ROUNDS = 6
const { random } = nodeCrypto()

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'igor-kill-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** Runs the committer until it has acknowledged so much, kills it, and tells the last acknowledged counters. */
async function commitAndKill(lines: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, ['--conditions=source', COMMITTER, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  let seen = 0
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part
    seen += part.split('\n').length - 1
    if (seen >= lines) child.kill('SIGKILL')
  })
  const [, signal] = await once(child, 'close')
  expect(signal).toBe('SIGKILL')
  const acknowledged = new Map<string, number>()
  for (const line of text.split('\n').slice(0, -1)) {
    const [committer = '', counter] = line.split(' ')
    acknowledged.set(committer, Number(counter))
  }
  return acknowledged
}

describe('kill -9 in mid-commit', () => {
  it('loses no acknowledged batch, and leaves no lock behind', async () => {
    const decode = (bytes: Uint8Array | undefined) => Number(new TextDecoder().decode(bytes))
    for (let round = 0; round < ROUNDS; round++) {
      const acknowledged = await commitAndKill(1 + Math.floor(Math.random() * 1500))
      expect(acknowledged.size).toBeGreaterThan(0)
      const store = await openLogStore(await openFiles(folder), { random })
      expect(store.damaged).toBe(false)
      for (const [committer, counter] of acknowledged) {
        const kept = decode(await store.get(`counter/${committer}`))
        // One more may have been written whose word did not get out.
        expect([counter, counter + 1], `committer ${committer}`).toContain(kept)
        expect(decode(await store.get(`authority/${committer}`))).toBe(kept)
        expect(await store.get(`block/${committer}/${kept % 10}`)).toEqual(new Uint8Array(2000).fill(kept))
      }
      await store.close()
    }
  })
})

describe('kill -9 of a node', () => {
  /** Kills it when it has said so many lines; tells the last tick that was seen, and how many messages were acknowledged. */
  const runAndKill = async (lines: number): Promise<{ tick: number; heard: number }> => {
    const child = spawn(process.execPath, ['--conditions=source', HOST, folder, COUNTER], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part
      if (text.split('\n').length > lines) child.kill('SIGKILL')
    })
    const [, signal] = await once(child, 'close')
    expect(signal).toBe('SIGKILL')
    const last = (word: string): number =>
      Math.max(0, ...[...text.matchAll(new RegExp(`^${word} (\\d+)$`, 'gm'))].map(([, n]) => Number(n)))
    return { tick: last('tick'), heard: last('heard') }
  }

  it('loses no tick that was seen and no message that was acknowledged, and doubles none', async () => {
    for (let round = 0; round < 4; round++) {
      const { tick, heard } = await runAndKill(5 + Math.floor(Math.random() * 60))
      const node = await createNode({ dataDir: folder, listen: {} })
      try {
        const agent = node.agent('counter')
        expect(agent.status.tick).toBeGreaterThanOrEqual(tick)
        expect(agent.status.inbox).toBeGreaterThanOrEqual(heard)
        for await (const event of agent.watch(AbortSignal.timeout(10_000))) {
          if (event.type !== 'log' || event.tick <= tick) continue
          expect(event.text).toBe(`tick ${event.tick}`)
          break
        }
      } finally {
        await node.stop()
      }
    }
  }, 60_000)
})

describe('a data folder', () => {
  it('is refused to a second process, naming folder and holder, and free when that is gone', async () => {
    const child = spawn(process.execPath, ['--conditions=source', COMMITTER, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.stdout.resume()
    await expect(openFiles(folder)).rejects.toMatchObject({
      code: 'STORE_BUSY',
      message: expect.stringMatching(new RegExp(`${folder} is in use by another process \\(pid ${child.pid}\\): stop`)),
    })
    expect(await readFile(join(folder, 'lock'), 'utf8')).toBe(`${child.pid}\n`)
    child.kill('SIGKILL')
    await once(child, 'close')
    const files = await openFiles(folder)
    await files.close()
  })
})
