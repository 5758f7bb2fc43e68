/**
 * The pages of the project name files, tests, headings and scripts: all of them are there.
 */
import { access, glob, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const pages: string[] = []
for await (const page of glob('{*,docs/*,packages/*/README,agents/README,demo/README}.md', { cwd: root })) pages.push(page)
pages.sort()
const texts = new Map(await Promise.all(pages.map(async (page) => [page, await readFile(join(root, page), 'utf8')] as const)))

const isThere = (path: string): Promise<boolean> =>
  access(join(root, path)).then(
    () => true,
    () => false,
  )

/** As GitHub makes anchors of headings. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

const anchorsOf = (text: string): string[] => [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading))

const prose = (text: string): string => text.replace(/^```.*?^```$/gms, '')

describe.each([...texts])('%s', (page, text) => {
  it('links to what is there', async () => {
    const missing: string[] = []
    for (const [, target = ''] of prose(text).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#', 2)
      const file = path === '' ? page : join(dirname(page), path)
      const there = await isThere(file)
      const anchors = there && file.endsWith('.md') ? anchorsOf(await readFile(join(root, file), 'utf8')) : []
      if (!there || (anchor !== undefined && !anchors.includes(anchor))) missing.push(target)
    }
    expect(missing).toEqual([])
  })

  it('names files and scripts that are there', async () => {
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    const missing: string[] = []
    for (const [, path = ''] of prose(text).matchAll(/`((?:packages|scripts|docs|e2e|demo|agents)\/[\w./-]+)`/g)) {
      if (!(await isThere(path))) missing.push(path)
    }
    for (const [, script = ''] of text.matchAll(/\bnpm run ([\w:]+)/g))
      if (!(script in scripts)) missing.push(`npm run ${script}`)
    expect(missing).toEqual([])
  })
})

describe('docs/threats.md', () => {
  const named = [...(texts.get('docs/threats.md') ?? '').matchAll(/`([^`]+\.ts)`((?:[^`|]*“[^”]+”)+)/g)].flatMap(
    ([, file = '', titles = '']) => [...titles.matchAll(/“([^”]+)”/g)].map(([, title = '']) => [file, title] as const),
  )

  it('names many tests', () => expect(named.length).toBeGreaterThan(40))

  it.each(named)('%s has the test “%s”', async (file, title) => {
    expect(await readFile(join(root, file), 'utf8')).toContain(title)
  })
})
