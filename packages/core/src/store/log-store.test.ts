import { filesSuite, storeSuite } from '../testing/index.ts'
import { makeDisk } from '../testing/memory-files.ts'
import { openLogStore } from './log-store.ts'

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length))

filesSuite(async () => {
  const disk = makeDisk()
  return { open: async () => disk.open(), clean: async () => undefined }
})

storeSuite(async () => {
  const disk = makeDisk()
  return { open: () => openLogStore(disk.open(), { random }), clean: async () => undefined }
})
