/**
 * A process that commits counters until it is killed, and says which are acknowledged: a line
 * `<committer> <counter>` each. Started by the tests with the data folder as argument.
 *
 * @module
 */
import { writeSync } from 'node:fs'
import { openLogStore } from '@igor/core'
import { nodeCrypto } from './crypto.ts'
import { openFiles } from './files.ts'

const COMMITTERS = 8
const folder = process.argv[2]
if (folder === undefined) throw new Error('give the data folder')

const { random } = nodeCrypto()
const store = await openLogStore(await openFiles(folder), { random, compactAbove: 300_000 })

async function commitForEver(committer: number): Promise<void> {
  const keys = [`authority/${committer}`, `counter/${committer}`] as const
  for (;;) {
    const before = await store.get(keys[1])
    const counter = before === undefined ? 1 : Number(new TextDecoder().decode(before)) + 1
    const value = new TextEncoder().encode(String(counter))
    await store.commit({
      expect: [[keys[1], before]],
      put: [
        [keys[0], value],
        [keys[1], value],
        [`block/${committer}/${counter % 10}`, new Uint8Array(2000).fill(counter)],
      ],
    })
    // At once and past every buffer: what is acknowledged has left the process.
    writeSync(1, `${committer} ${counter}\n`)
  }
}

await Promise.all(Array.from({ length: COMMITTERS }, (_, committer) => commitForEver(committer)))
