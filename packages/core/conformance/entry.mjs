// What runs in each engine: fetches its work, does it, sends back what came out. The same file in a page and in Node.js.
import { decode, encode } from '@ipld/dag-cbor'
import { CASES } from '../src/conformance/cases.ts'
import { runCase } from '../src/conformance/suite.ts'

const origin = globalThis.location?.origin ?? process.argv[2]

const work = async () => {
  const { cases } = decode(new Uint8Array(await (await fetch(`${origin}/work`)).arrayBuffer()))
  const done = []
  for (const { name, wasm, init, middle } of cases) {
    const spec = CASES.find((one) => one.name === name)
    const before = performance.now()
    const result = await runCase(spec, wasm, init, middle)
    done.push({ name, ms: Math.round(performance.now() - before), ...result })
  }
  return { done }
}

const answer = await work().catch((error) => ({ error: String(error?.stack ?? error) }))
// Floats apart from times have no place here, and undefined has none in dag-cbor.
await fetch(`${origin}/done`, { method: 'POST', body: encode(answer) })
