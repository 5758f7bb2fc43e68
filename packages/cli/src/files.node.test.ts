import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { reserve } from './files.ts'
import type { Io } from './output.ts'
import { testFolder } from './testing/folder.ts'

const at = (cwd: string): Io => ({ cwd }) as Io

describe('a file to be written', () => {
  it('is there only once it is whole, for its user alone', async () => {
    const cwd = await testFolder()
    const pending = await reserve(at(cwd), 'scout.car')
    expect(await readdir(cwd)).not.toContain('scout.car')
    await pending.finish(Buffer.from('agent'))
    expect(await readFile(join(cwd, 'scout.car'), 'utf8')).toBe('agent')
    expect(await readdir(cwd)).toEqual(['scout.car'])
    if (process.platform !== 'win32') expect((await stat(join(cwd, 'scout.car'))).mode & 0o777).toBe(0o600)
  })

  it('leaves nothing when there is nothing to write', async () => {
    const cwd = await testFolder()
    await (await reserve(at(cwd), 'scout.car')).discard()
    expect(await readdir(cwd)).toEqual([])
  })

  it('does not replace one that is there, unless asked to', async () => {
    const cwd = await testFolder()
    await writeFile(join(cwd, 'scout.car'), 'old')
    await expect(reserve(at(cwd), 'scout.car')).rejects.toMatchObject({ code: 'FILE_EXISTS' })
    await (await reserve(at(cwd), 'scout.car', true)).finish(Buffer.from('new'))
    expect(await readFile(join(cwd, 'scout.car'), 'utf8')).toBe('new')
  })

  it('is refused before anything is asked of the node when its folder cannot be written', async () => {
    const cwd = await testFolder()
    await expect(reserve(at(cwd), 'none/scout.car')).rejects.toMatchObject({
      code: 'BAD_FILE',
      message: 'cannot write none/scout.car: no such file or folder',
    })
  })
})
