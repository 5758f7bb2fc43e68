import { readdir, readFile } from 'node:fs/promises'
import { parseManifest } from '@igor/core'
import type { JobResult } from '@igor/core/worker'
import { describe, expect, it } from 'vitest'
import { agentsFolder, stage } from './testing/stage.ts'

const folders = (await readdir(agentsFolder, { withFileTypes: true }))
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

const shown = ({ view }: JobResult): string => new TextDecoder().decode(view?.bytes)
const pixel = ({ view }: JobResult, x: number, y: number): string => {
  const at = (y * (view?.width ?? 0) + x) * 4
  return [...(view?.bytes.subarray(at, at + 3) ?? [])].join(' ')
}

describe('the example agents', () => {
  it('are all in the gallery, with files that are there', async () => {
    const gallery: Record<string, string>[] = JSON.parse(await readFile(`${agentsFolder}gallery.json`, 'utf8'))
    expect(gallery.map(({ id }) => id).sort()).toEqual(folders.sort())
    for (const entry of gallery) {
      expect(entry).toMatchObject({ title: expect.stringMatching(/^.{3,20}$/), line: expect.stringMatching(/^.{20,120}$/) })
      expect((await readFile(`${agentsFolder}${entry.wasm}`)).subarray(0, 4).toString('latin1')).toBe('\0asm')
      const manifest = parseManifest(await readFile(`${agentsFolder}${entry.manifest}`, 'utf8'))
      expect([manifest.public, manifest.migration.enabled]).toEqual([true, true])
    }
  })

  it.each(folders)('%s bears a thousand ticks and messages without growing or dawdling', async (name) => {
    const agent = await stage(name, name === 'ballast' ? '1 3' : '')
    for (let i = 0; i < 300; i++) await agent.tick({ pass: 100, messages: ['hello', 'seed', `find ${i}`] })
    const before = agent.memory()
    const times: number[] = []
    for (let i = 0; i < 700; i++) times.push((await agent.tick({ pass: 100, messages: [`note ${i}`, 'key:ArrowUp'] })).longestMs)
    expect(agent.memory()).toBeLessThanOrEqual(before * 2)
    expect(agent.memory()).toBeLessThan((name === 'tally' ? 16 : 4) * 1024 * 1024)
    // The wall-clock limit of a tick is 100 ms.
    expect(times.sort((one, other) => one - other)[350]).toBeLessThan(10)
  })
})

describe('counter', () => {
  it('counts its ticks, no more and no less', async () => {
    const agent = await stage('counter')
    expect(await agent.logs(5)).toEqual(['tick 1', 'tick 2', 'tick 3', 'tick 4', 'tick 5'])
  })
})

describe('ballast', () => {
  it('carries what it is told and changes what it is told', async () => {
    const agent = await stage('ballast', '8 20')
    expect(agent.born.logs[0]?.text).toBe('carries 8192 KiB, changes 20 chunks a tick')
    expect(agent.born.delta?.chunks.length).toBeGreaterThanOrEqual(2048)
    const { delta } = await agent.tick()
    // Some more for its own heap and stack.
    expect(delta?.chunks.length).toBeGreaterThanOrEqual(20)
    expect(delta?.chunks.length).toBeLessThan(26)
  })

  it('fits 60 MiB under the ceiling', async () => {
    const agent = await stage('ballast', '60 1')
    expect(agent.memory()).toBeGreaterThan(60 * 1024 * 1024)
    expect(await agent.logs(1)).toEqual(['tick 1'])
  })
})

describe('heartbeat', () => {
  it('marks milestones and knows its age', async () => {
    const agent = await stage('heartbeat')
    expect(agent.born.logs.map(({ text }) => text)).toEqual(['born'])
    expect(await agent.logs(20)).toEqual(['milestone: 10 ticks, 10 s old', 'tick 20, 20 s old'])
    expect(shown(await agent.tick({ pass: 3_600_000 }))).toBe('♡ tick 21\n1 h 0 min old')
  })
})

describe('scribe', () => {
  it('keeps notes, finds and forgets them', async () => {
    const agent = await stage('scribe', 'zero')
    expect(agent.born.logs.map(({ text }) => text)).toEqual(['noted #1'])
    expect(await agent.logs(1, { messages: ['milk', 'bread and milk', 'key:Enter'] })).toEqual(['noted #2', 'noted #3'])
    expect(await agent.logs(1, { messages: ['find milk', 'find wine'] })).toEqual([
      '#3: bread and milk',
      '#2: milk',
      'nothing found for: wine',
    ])
    expect(shown(await agent.tick())).toContain('#2  milk  (2 s ago)')
    expect(shown(await agent.tick({ messages: ['clear'] }))).toBe('Empty. Write me a line.')
  })
})

describe('companion', () => {
  it('greets, answers, remembers, and notices when it slept', async () => {
    const agent = await stage('companion')
    expect(agent.born.logs.map(({ text }) => text)).toEqual(['hello! I am new here. Write to me.'])
    expect(await agent.logs(1, { messages: ['Hello!'] })).toEqual(['hello! I am 1 s old and feel happy'])
    expect(await agent.logs(1, { messages: ['this is it', 'do you remember'] })).toEqual([
      'noted: this is it',
      'the last I heard was: this is it',
    ])
    expect(await agent.logs(1, { pass: 7_200_000 })).toEqual(['I slept 2 h 0 min. Nothing lost: this is tick 3'])
    expect(shown(await agent.tick())).toMatch(/\nsleepy\ntick 4, 2 h 0 min old\n3 messages\n1 nap$/)
  })
})

describe('watcher', () => {
  it('reports each crossing, now and for the time that it was away', async () => {
    const agent = await stage('watcher', '100')
    expect(agent.born.logs.map(({ text }) => text)).toEqual(['threshold is 100.00'])
    const live = await agent.logs(1200)
    expect(live.length).toBeGreaterThan(0)
    for (const line of live) expect(line).toMatch(/^(rose above|fell below) 100\.00: \d+\.\d\d$/)
    // What it tells after a gap is what one that was there all the time saw.
    const [there, away] = [await stage('watcher', '100'), await stage('watcher', '100')]
    const seen = await there.logs(1200)
    const told = await away.logs(1, { pass: 1_200_000 })
    expect(told[0]).toBe('I was away for 20 min: catching up')
    expect(told.at(-1)).toBe(`caught up on 1200 slots: ${seen.length} crossings`)
    expect(told.slice(1, -1).map((line) => line.replace(/^while I was away, .* ago, it /, ''))).toEqual(seen.slice(0, 10))
  })

  it('catches up on a long gap in several ticks, and takes another threshold', async () => {
    const agent = await stage('watcher', '100')
    const first = await agent.tick({ pass: 3_600_000 * 3 })
    expect(first.more).toBe(true)
    expect((await agent.tick({ pass: 0 })).more).toBe(true)
    const last = await agent.tick({ pass: 0 })
    expect([last.more, last.logs.at(-1)?.text]).toEqual([false, expect.stringContaining('caught up on 10800 slots')])
    expect(await agent.logs(1, { pass: 0, messages: ['threshold 105', 'nonsense'] })).toEqual([
      'threshold is 105.00',
      'not a threshold: write a number, such as: threshold 105',
    ])
  })
})

describe('life', () => {
  it('follows the rules', async () => {
    const agent = await stage('life')
    const first = await agent.tick()
    expect([first.view?.kind, first.view?.width, first.view?.height, first.view?.bytes.length]).toEqual([
      'rgba',
      96,
      96,
      96 * 96 * 4,
    ])
    const alive = (result: JobResult): Set<number> => {
      const cells = new Set<number>()
      for (let i = 0; i < 96 * 96; i++) if (pixel(result, i % 96, Math.floor(i / 96)) === '255 255 255') cells.add(i)
      return cells
    }
    const before = alive(first)
    expect(before.size).toBeGreaterThan(500)
    const expected = new Set<number>()
    for (let i = 0; i < 96 * 96; i++) {
      const [x, y] = [i % 96, Math.floor(i / 96)]
      let count = 0
      for (const dy of [95, 0, 1])
        for (const dx of [95, 0, 1]) {
          if ((dx !== 0 || dy !== 0) && before.has(((y + dy) % 96) * 96 + ((x + dx) % 96))) count++
        }
      if (count === 3 || (count === 2 && before.has(i))) expected.add(i)
    }
    expect(alive(await agent.tick())).toEqual(expected)
  })

  it('obeys messages', async () => {
    const agent = await stage('life')
    expect(await agent.logs(1, { messages: ['seed', 'key: ', 'toggle 200 1', 'hello'] })).toEqual([
      'seeded anew',
      'seeded anew',
      'no such cell: x and y go from 0 to 95',
    ])
  })
})

describe('snake', () => {
  const head = '190 255 120'
  const headAt = (result: JobResult): [number, number] => {
    for (let y = 0; y < 16; y++) for (let x = 0; x < 16; x++) if (pixel(result, x * 4, y * 4) === head) return [x, y]
    throw new Error('the snake has no head')
  }

  it('goes where the keys say, and never back into its neck', async () => {
    const agent = await stage('snake')
    const keys = [
      ['key:ArrowUp', 0, -1],
      ['key:ArrowDown', 0, -1],
      ['a', -1, 0],
      ['key:ArrowDown', 0, 1],
      ['key:Shift', 0, 1],
    ] as const
    let [x, y] = [8, 8]
    for (const [key, dx, dy] of keys) {
      const at = headAt(await agent.tick({ pass: 100, messages: [key] }))
      expect(at, key).toEqual([x + dx, y + dy])
      ;[x, y] = at
    }
  })

  it('plays by itself when left alone, and not badly', async () => {
    const agent = await stage('snake')
    const lines = await agent.logs(1500, { pass: 100 })
    const best = Math.max(0, ...lines.map((line) => Number(/best (\d+)/.exec(line)?.[1] ?? 0)))
    expect(best).toBeGreaterThan(5)
  })
})

describe('coral', () => {
  it('grows, and does as it is told', async () => {
    const agent = await stage('coral')
    expect(agent.born.logs.map(({ text }) => text)).toEqual(['write coral, spots, maze, worms, waves, seed, or drop X Y'])
    const grown = (result: JobResult): number => {
      let count = 0
      for (let i = 0; i < 96 * 96; i++) if ((result.view?.bytes[i * 4] ?? 0) > 100) count++
      return count
    }
    const young = grown(await agent.tick({ pass: 100 }))
    await agent.logs(300, { pass: 100 })
    expect(grown(await agent.tick({ pass: 100 }))).toBeGreaterThan(2 * young)
    expect(await agent.logs(1, { messages: ['x'.repeat(65_536), 'maze', 'drop 5 96', 'drop 5 95', 'seed', 'key:a'] })).toEqual([
      'maze: feed 0.0290, kill 0.0570',
      'no such place: x and y go from 0 to 95',
      'seeded anew',
    ])
  })
})

describe('cave', () => {
  const walk = async (agent: Awaited<ReturnType<typeof stage>>, ...messages: string[]) => agent.logs(1, { messages })

  it('can be won', async () => {
    const agent = await stage('cave')
    expect(await walk(agent, 'Look', 'up', 'key:Shift', 'sing')).toEqual([
      'Grass, wind, and a hole in the hill.',
      'no way up from here',
      'words that work: look, north (n), south …, take lamp, drop lamp, again',
    ])
    expect(await walk(agent, 'n', 'take lamp')).toEqual(['you are at the hall', 'too dark to find anything'])
    const way = [
      's',
      'key:ArrowRight',
      'take the lamp',
      'w',
      'n',
      'w',
      'take rope',
      'e',
      'n',
      'take key',
      'e',
      'd',
      'n',
      'take crown',
    ]
    expect((await walk(agent, ...way)).at(-1)).toBe('you take the crown')
    expect(shown(await agent.tick())).toContain('THE VAULT')
    expect((await walk(agent, 's', 'u', 'w', 's', 's')).at(-1)).toMatch(/done, in 16 steps/)
    expect(await walk(agent, 'n', 'again')).toEqual([
      'it is done. Write “again” to play again',
      'you stand at the gate once more',
    ])
  })

  it('is inhabited', async () => {
    const agent = await stage('cave')
    await walk(agent, 'n', 'w')
    const lines = await agent.logs(600)
    expect(lines).toContain('a bat flutters in')
    expect(lines).toContain('the bat flies off')
  })
})

describe('tally', () => {
  it('keeps accounts, to the cent', async () => {
    const agent = await stage('tally')
    expect(
      await agent.logs(1, { messages: ['12.50 coffee', '0,1 coffee', '-3 refund', '900 rent', '1.234 no', 'hello'] }),
    ).toEqual([
      '#1 12.50 coffee',
      '#2 0.10 coffee',
      '#3 -3.00 refund',
      '#4 900.00 rent',
      expect.stringContaining('write an amount and a word'),
      expect.stringContaining('write an amount and a word'),
    ])
    expect(await agent.logs(1, { messages: ['words'] })).toEqual([
      'rent: 900.00',
      'coffee: 12.60',
      'refund: -3.00',
      'in all: 909.60',
    ])
    expect(await agent.logs(1, { pass: 40 * 86_400_000, messages: ['undo', '7 tea', 'months'] })).toEqual([
      'gone: 900.00 rent',
      '#4 7.00 tea',
      '2026-09: 9.60',
      '2026-10: 7.00',
      'in all: 16.60',
    ])
    expect(shown(await agent.tick())).toMatch(/^in all: 16\.60\n\n12\.60 {2}coffee\n7\.00 {2}tea\n.*last: .* 7\.00 tea$/s)
    expect(await agent.logs(1, { messages: ['clear', 'undo'] })).toEqual(['an empty book', 'there is nothing to undo'])
  })
})
