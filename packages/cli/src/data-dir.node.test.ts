import { chmod, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { dataDirOf, prepareDataDir } from './data-dir.ts'
import type { Io } from './output.ts'
import { testFolder } from './testing/folder.ts'

describe('the data folder', () => {
  it('is named by the option, else the environment, else is at home', () => {
    const io = { cwd: '/srv', env: { IGOR_DATA_DIR: 'there' } } as unknown as Io
    expect(dataDirOf(io, 'here')).toBe(join('/srv', 'here'))
    expect(dataDirOf(io, undefined)).toBe(join('/srv', 'there'))
    expect(dataDirOf({ ...io, env: {} }, undefined)).toBe(join(homedir(), '.igor'))
  })

  it.skipIf(process.platform === 'win32')('is made for its user alone, and a wider one is told of', async () => {
    const folder = join(await testFolder(), 'a', 'b')
    expect(await prepareDataDir(folder)).toBeUndefined()
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    expect(await prepareDataDir(folder)).toBeUndefined()
    await chmod(folder, 0o755)
    expect(await prepareDataDir(folder)).toContain('chmod 700')
  })

  it('that cannot be is refused with what to do', async () => {
    const folder = await testFolder()
    await writeFile(join(folder, 'file'), '')
    for (const path of [join(folder, 'file'), join(folder, 'file', 'data')]) {
      await expect(prepareDataDir(path)).rejects.toMatchObject({
        code: 'BAD_DATA_DIR',
        message: expect.stringContaining('a file is in the way'),
      })
    }
    // Where not even root can make one.
    if (process.platform === 'linux') await expect(prepareDataDir('/proc/igor')).rejects.toMatchObject({ code: 'BAD_DATA_DIR' })
  })
})
