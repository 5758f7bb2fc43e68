import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLogStore } from '@igor/core'
import { clockSuite, cryptoSuite, filesSuite, storeSuite, threadsSuite } from '@igor/core/testing'
import { nodeClock } from './clock.ts'
import { nodeCrypto } from './crypto.ts'
import { openFiles } from './files.ts'
import { nodeThreads } from './threads.ts'

const folder = () => mkdtemp(join(tmpdir(), 'igor-'))

clockSuite(nodeClock)
cryptoSuite(nodeCrypto)
threadsSuite(() => nodeThreads())

filesSuite(async () => {
  const path = await folder()
  return { open: () => openFiles(path), clean: () => rm(path, { recursive: true }) }
})

storeSuite(async () => {
  const path = await folder()
  const { random } = nodeCrypto()
  return {
    open: async () => openLogStore(await openFiles(path), { random }),
    clean: () => rm(path, { recursive: true }),
  }
})
