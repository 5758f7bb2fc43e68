import { expect, test } from 'vitest'
import { MAX_FILE_BYTES, sortFiles } from './files.ts'

const file = (name: string, size = 100) => ({ name, size })

test('a module comes with its manifest and its init', () => {
  const sorted = sortFiles([file('init.txt'), file('A.WASM'), file('manifest.json')])
  expect(sorted.problem).toBeUndefined()
  expect([sorted.modules[0]?.name, sorted.manifest?.name, sorted.init?.name]).toEqual(['A.WASM', 'manifest.json', 'init.txt'])
})

test('several modules, or several agents, may come at once', () => {
  expect(sortFiles([file('a.wasm'), file('b.wasm'), file('c.car')]).problem).toBeUndefined()
})

test.each([
  ['nothing', [], /no file/],
  ['a manifest alone', [file('m.json')], /together/],
  ['a picture', [file('cat.png')], /cat\.png is neither/],
  ['two manifests', [file('a.wasm'), file('a.json'), file('b.json')], /more than one manifest/],
  ['two inits', [file('a.wasm'), file('a'), file('b')], /that was 2/],
  ['a manifest for two modules', [file('a.wasm'), file('b.wasm'), file('m.json')], /one module at a time/],
  ['a manifest for a .car', [file('a.car'), file('m.json')], /drop it alone/],
  ['a file of 10 GB', [file('a.car', 10e9)], /larger than an agent/],
  ['a large manifest', [file('a.wasm'), file('m.json', 65_537)], /64 KiB/],
  ['a large init', [file('a.wasm'), file('i', 1_048_577)], /1 MiB/],
  ['too many files', Array.from({ length: 21 }, (_, i) => file(`${i}.wasm`)), /21 files/],
])('%s starts nothing, and is told why', (_what, files, why) => expect(sortFiles(files).problem).toMatch(why))

test('the largest file that is read is as large as the largest agent', () => {
  expect(sortFiles([file('a.car', MAX_FILE_BYTES)]).problem).toBeUndefined()
})
