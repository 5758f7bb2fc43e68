import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseManifest } from '@igor/core'
import { expect, it } from 'vitest'
import { agentsFolder, stageModule } from './testing/stage.ts'

/** What authors write, compiled as the agents here are. */
const compile = async (source: string): Promise<Uint8Array> => {
  const { default: asc } = await import('assemblyscript/asc')
  let wasm: Uint8Array | undefined
  const { error, stderr } = await asc.main(
    ['mine/agent.ts', '--outFile', 'mine.wasm', '--baseDir', agentsFolder, '--use', 'abort=', '--runtime', 'incremental'],
    {
      readFile: (file: string, base: string) =>
        file === 'mine/agent.ts' ? source : readFile(join(base, file), 'utf8').catch(() => null),
      writeFile: (file: string, contents: Uint8Array | string) => {
        if (file.endsWith('.wasm') && typeof contents !== 'string') wasm = contents
      },
      listFiles: () => [],
    },
  )
  if (error !== null || wasm === undefined) throw new Error(`${stderr}`)
  return wasm
}

const receipt = (tick: bigint, cost: bigint): Uint8Array => {
  const bytes = new Uint8Array(64).fill(0xab)
  const view = new DataView(bytes.buffer)
  for (const [i, value] of [tick, 1_790_000_000_123n, tick * 1000n, cost].entries()) view.setBigUint64(i * 8, value, true)
  return bytes
}

it('an agent in AssemblyScript reads its balance, its receipts and the price', async () => {
  const wasm = await compile(`
    import { balance, log, price, receipt, receiptCount } from "@igor/sdk-as/assembly";
    export function agent_tick(): i32 {
      log(balance().toString() + " left at " + price().toString() + ", " + receiptCount().toString() + " receipts");
      for (let i = 0; i < receiptCount(); i++) {
        const one = receipt(i);
        if (one !== null) log([one.tick, one.time, one.fuel, one.cost, <u64>one.record.length, <u64>one.record[31]].join(" "));
      }
      if (receipt(2) === null && receipt(-1) === null) log("no more");
      return 0;
    }`)
  const capabilities = { log: { version: 1 }, wallet: { version: 1 }, pricing: { version: 1 } }
  const manifest = parseManifest(JSON.stringify({ capabilities, resource_limits: { max_memory_bytes: 2 ** 20 } }))
  const terms = { price: 50n, balance: 2n ** 62n, receipts: [receipt(7n, 35n), receipt(9n, 2n ** 60n)] }
  const agent = await stageModule('mine', wasm, manifest, '', terms)
  expect(await agent.logs(1)).toEqual([
    '4611686018427387904 left at 50, 2 receipts',
    '7 1790000000123 7000 35 32 171',
    '9 1790000000123 9000 1152921504606846976 32 171',
    'no more',
  ])
})
