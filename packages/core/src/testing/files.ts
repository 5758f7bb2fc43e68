import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StoreClosedError } from '../errors.ts'
import type { Files } from '../platform.ts'
import { type Fixture, noise, utf8 } from './fixture.ts'

/** Acceptance suite of `Files`. `make` gives a new, empty place each time. */
export function filesSuite(make: () => Promise<Fixture<Files>>): void {
  describe('Files', () => {
    let fixture: Fixture<Files>
    let files: Files

    beforeEach(async () => {
      fixture = await make()
      files = await fixture.open()
    })
    afterEach(async () => {
      await files.close()
      await fixture.clean()
    })
    const text = async (name: string) => new TextDecoder().decode(await files.read(name, 0, await files.size(name)))

    it('starts empty', async () => {
      expect(await files.list()).toEqual([])
    })

    it('appends, and says where', async () => {
      expect(await files.append('a', utf8('one'))).toBe(0)
      expect(await files.append('a', utf8('two'))).toBe(3)
      expect(await files.append('b', new Uint8Array())).toBe(0)
      expect(await files.size('a')).toBe(6)
      expect(await files.size('b')).toBe(0)
      expect(await text('a')).toBe('onetwo')
      expect((await files.list()).toSorted()).toEqual(['a', 'b'])
    })

    it('appends in the order of the calls', async () => {
      const offsets = await Promise.all(Array.from({ length: 50 }, (_, i) => files.append('a', utf8(String(i).padStart(2, '0')))))
      expect(offsets).toEqual(Array.from({ length: 50 }, (_, i) => 2 * i))
      expect(await text('a')).toBe(Array.from({ length: 50 }, (_, i) => String(i).padStart(2, '0')).join(''))
    })

    it('reads any part; what lies past the end is left out', async () => {
      const bytes = noise(300_000)
      await files.append('a', bytes)
      expect(await files.read('a', 0, 10)).toEqual(bytes.slice(0, 10))
      expect(await files.read('a', 299_990, 10)).toEqual(bytes.slice(299_990))
      expect(await files.read('a', 299_990, 100)).toEqual(bytes.slice(299_990))
      expect(await files.read('a', 400_000, 10)).toEqual(new Uint8Array())
      expect(await files.read('a', 5, 0)).toEqual(new Uint8Array())
      const whole = await files.read('a', 0, 300_000)
      expect(whole.length).toBe(300_000)
      expect(whole.every((byte, i) => byte === bytes[i])).toBe(true)
    })

    it('appends a view as what it shows', async () => {
      await files.append('a', utf8('..view..').subarray(2, 6))
      expect(await text('a')).toBe('view')
    })

    it('cuts, and appends at the cut', async () => {
      await files.append('a', utf8('onetwo'))
      await files.truncate('a', 3)
      expect(await files.size('a')).toBe(3)
      expect(await files.append('a', utf8('three'))).toBe(3)
      expect(await text('a')).toBe('onethree')
    })

    it('renames, over another file too', async () => {
      await files.append('a', utf8('a'))
      await files.append('b', utf8('bbb'))
      await files.rename('a', 'b')
      await files.syncDir()
      expect(await files.list()).toEqual(['b'])
      expect(await text('b')).toBe('a')
      expect(await files.append('b', utf8('+'))).toBe(1)
      await files.rename('b', 'c')
      expect(await files.append('b', utf8('new'))).toBe(0)
      expect(await text('c')).toBe('a+')
      expect(await text('b')).toBe('new')
    })

    it('removes, and starts anew under the same name', async () => {
      await files.append('a', utf8('old'))
      await files.remove('a')
      await files.syncDir()
      expect(await files.list()).toEqual([])
      await expect(files.size('a')).rejects.toThrow()
      expect(await files.append('a', utf8('new'))).toBe(0)
      expect(await text('a')).toBe('new')
    })

    it('rejects what concerns a file that is not there', async () => {
      await expect(files.size('no')).rejects.toThrow()
      await expect(files.read('no', 0, 1)).rejects.toThrow()
      await expect(files.truncate('no', 0)).rejects.toThrow()
      await expect(files.rename('no', 'a')).rejects.toThrow()
      await expect(files.remove('no')).rejects.toThrow()
      await expect(files.sync('no')).rejects.toThrow()
      expect(await files.list()).toEqual([])
    })

    it('keeps everything over closing and opening', async () => {
      await files.append('a', utf8('kept'))
      await files.sync('a')
      await files.syncDir()
      await files.close()
      files = await fixture.open()
      expect(await files.list()).toEqual(['a'])
      expect(await text('a')).toBe('kept')
      expect(await files.append('a', utf8('+'))).toBe(4)
    })

    it('refuses names that are no plain names', async () => {
      for (const name of ['', '.', '..', 'a/b', '/a', 'a\\b', 'nul\0', 'x'.repeat(65), 'ü']) {
        await expect(files.append(name, utf8('x')), name).rejects.toMatchObject({ code: 'BAD_REQUEST' })
        await expect(files.read(name, 0, 1), name).rejects.toMatchObject({ code: 'BAD_REQUEST' })
        await expect(files.rename('a', name), name).rejects.toMatchObject({ code: 'BAD_REQUEST' })
      }
      expect(await files.list()).toEqual([])
    })

    it('tells how much it uses', async () => {
      const before = await files.usage()
      await files.append('a', noise(100_000))
      const after = await files.usage()
      expect(after.used - before.used).toBeGreaterThanOrEqual(100_000)
      if (after.quota !== undefined) expect(after.quota).toBeGreaterThanOrEqual(after.used)
      expect(typeof after.persistent).toBe('boolean')
    })

    it('rejects everything once closed', async () => {
      await files.append('a', utf8('x'))
      await Promise.all([files.close(), files.close()])
      await expect(files.append('a', utf8('x'))).rejects.toThrow(StoreClosedError)
      await expect(files.read('a', 0, 1)).rejects.toThrow(StoreClosedError)
      await expect(files.list()).rejects.toThrow(StoreClosedError)
      await expect(files.sync('a')).rejects.toThrow(StoreClosedError)
    })
  })
}
