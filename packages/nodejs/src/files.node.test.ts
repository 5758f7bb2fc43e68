import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openFiles } from './files.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'igor-files-'))
})
afterEach(() => rm(folder, { recursive: true }))

const text = (value: string) => new TextEncoder().encode(value)
const modeOf = async (path: string) => (await stat(path)).mode & 0o777

it('makes the folder and its parents, for their owner alone', async () => {
  const path = join(folder, 'deep', 'data')
  const files = await openFiles(path)
  await files.append('a', text('x'))
  await files.close()
  expect(await modeOf(path)).toBe(0o700)
  expect(await modeOf(join(path, 'a'))).toBe(0o600)
  expect(await modeOf(join(path, 'lock'))).toBe(0o600)
})

it('is refused to the same process while it is open', async () => {
  const files = await openFiles(folder)
  await expect(openFiles(folder)).rejects.toMatchObject({
    code: 'STORE_BUSY',
    message: expect.stringContaining('this process already'),
  })
  await expect(openFiles(join(folder, '..', folder.split('/').at(-1) ?? ''))).rejects.toMatchObject({ code: 'STORE_BUSY' })
  await files.close()
  await (await openFiles(folder)).close()
})

it('lists files alone, and not the lock', async () => {
  const files = await openFiles(folder)
  await mkdir(join(folder, 'folder'))
  await writeFile(join(folder, 'a'), '')
  await writeFile(join(folder, 'ü'), '')
  await symlink('/etc/hostname', join(folder, 'link'))
  expect(await files.list()).toEqual(['a'])
  await expect(files.append('lock', text('x'))).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  await files.close()
})

it('does not follow links out of the folder', async () => {
  const outside = join(folder, 'outside')
  await writeFile(outside, 'mine')
  const inside = join(folder, 'data')
  const files = await openFiles(inside)
  await symlink(outside, join(inside, 'a'))
  await expect(files.append('a', text('theirs'))).rejects.toThrow()
  await expect(files.read('a', 0, 10)).rejects.toThrow()
  expect(await readFile(outside, 'utf8')).toBe('mine')
  await files.close()
})

it('says that a folder cannot be one', async () => {
  await writeFile(join(folder, 'file'), '')
  await expect(openFiles(join(folder, 'file'))).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringContaining('file'),
  })
})
