import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openLogStore } from '@igor/core'
import { expect, it } from 'vitest'
import { nodeCrypto } from './crypto.ts'
import { openFiles } from './files.ts'

const here = (name: string) => JSON.stringify(fileURLToPath(new URL(name, import.meta.url)))

/** Commits until it is refused, then goes on with less. */
const SCRIPT = `
  import { openLogStore } from '@igor/core'
  import { openFiles } from ${here('./files.ts')}
  import { nodeCrypto } from ${here('./crypto.ts')}
  const store = await openLogStore(await openFiles(process.argv[1]), nodeCrypto())
  let kept = 0
  for (;;) {
    const error = await store.commit({ put: [['block/' + kept, new Uint8Array(30000).fill(kept)], ['vital/a', Uint8Array.of(kept)]] }).catch((error) => error)
    if (error === undefined) { kept++; continue }
    await store.commit({ put: [['last', Uint8Array.of(1)]] })
    await store.close()
    console.log(JSON.stringify({ kept, code: error.code, message: error.message }))
    break
  }
`

// A limit on the size of files is the one full disk that needs no other user and no other disk.
it.skipIf(process.platform === 'win32')('a file that may not grow refuses the batch, and nothing else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'igor-full-'))
  const child = spawn(
    'sh',
    [
      '-c',
      'ulimit -f 500; exec "$@"',
      'sh',
      process.execPath,
      '--conditions=source',
      '--input-type=module',
      '-e',
      SCRIPT,
      folder,
    ],
    { cwd: fileURLToPath(new URL('.', import.meta.url)), stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    output += part
  })
  expect(await once(child, 'close')).toEqual([0, null])
  const { kept, code, message } = JSON.parse(output)
  expect({ code, message }).toEqual({ code: 'STORE_FULL', message: `the disk that holds ${folder} is full: free some space` })
  expect(kept).toBeGreaterThan(3)
  const store = await openLogStore(await openFiles(folder), nodeCrypto())
  expect(store.damaged).toBe(false)
  expect(await store.list('block/')).toHaveLength(kept)
  expect(await store.get('vital/a')).toEqual(Uint8Array.of(kept - 1))
  expect(await store.get('last')).toEqual(Uint8Array.of(1))
  await store.close()
  await rm(folder, { recursive: true })
})
