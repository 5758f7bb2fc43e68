/**
 * Damages real modules and hands them to `instrument`: each is refused with a typed error, or what is made of it is valid.
 *
 *     node --conditions=source packages/sandbox/fuzz/mutated.ts [--count 100000] [--seed 1] FILE.wasm…
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { SandboxError } from '../src/errors.ts'
import { instrument } from '../src/instrument.ts'
import { randomOf } from './random.ts'

const { values, positionals } = parseArgs({
  options: { count: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' } },
  allowPositionals: true,
})
const modules = positionals.map((path) => new Uint8Array(readFileSync(path)))
if (modules.length === 0) throw new Error('which modules? Name some files')
const random = randomOf(Number(values.seed))
/** Bytes that mean much in the format. */
const TELLING = [0, 1, 2, 3, 0x0b, 0x40, 0x41, 0x60, 0x70, 0x7b, 0x7f, 0x80, 0xfc, 0xfd, 0xff]

function damage(whole: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = Array.from(whole)
  for (let edits = 1 + (random() % 4); edits > 0; edits--) {
    const at = random() % bytes.length
    const byte = random() % 2 === 0 ? (TELLING[random() % TELLING.length] as number) : random() & 0xff
    const kind = random() % 8
    if (kind < 5) bytes[at] = byte
    else if (kind === 5) bytes.splice(at, 1 + (random() % 4))
    else if (kind === 6) bytes.splice(at, 0, byte)
    else bytes.copyWithin(at, random() % bytes.length, bytes.length)
  }
  return Uint8Array.from(bytes)
}

const counts = { refused: 0, accepted: 0, failed: 0 }
const codes = new Map<string, number>()
let slowest = 0
for (let i = 0; i < Number(values.count); i++) {
  const module = damage(modules[i % modules.length] as Uint8Array)
  const start = performance.now()
  try {
    const { bytes } = instrument(module, { maxMemoryBytes: 2 ** 26, allowImport: () => true })
    if (!WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>)) throw new Error('made an invalid module')
    counts.accepted++
  } catch (error) {
    if (error instanceof SandboxError) {
      const wronged = (error.code === 'MALFORMED' || error.code === 'NOT_WASM') && WebAssembly.validate(module)
      if (wronged) console.log(`case ${i}: refused though valid: ${error.message}`)
      counts[wronged ? 'failed' : 'refused']++
      codes.set(error.code, (codes.get(error.code) ?? 0) + 1)
    } else {
      counts.failed++
      console.log(`case ${i}: ${String(error)}`)
    }
  }
  slowest = Math.max(slowest, performance.now() - start)
}
console.log(counts, Object.fromEntries(codes), `slowest ${slowest.toFixed(0)} ms`)
process.exitCode = counts.failed > 0 ? 1 : 0
