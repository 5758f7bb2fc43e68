/**
 * The bits of an instance's mutable globals, and of which segments it dropped.
 *
 * @module
 */
import { privateNames } from './additions.ts'
import { SandboxError } from './errors.ts'
import type { ValTypeName } from './types.ts'

type WasmFunction = (...args: readonly (number | bigint)[]) => unknown

/** Reads and writes the bits of one mutable global. */
export interface Accessor {
  readonly bytes: number
  read(): Uint8Array
  write(bits: DataView): void
}

export function accessor(exports: WebAssembly.Exports, type: ValTypeName, n: number): Accessor {
  const get = exports[privateNames.get(n, 0)] as WasmFunction
  const set = exports[privateNames.set(n)] as WasmFunction
  if (type === 'v128') {
    const high = exports[privateNames.get(n, 1)] as WasmFunction
    return {
      bytes: 16,
      read: () => {
        const bits = new DataView(new ArrayBuffer(16))
        bits.setBigInt64(0, get() as bigint, true)
        bits.setBigInt64(8, high() as bigint, true)
        return new Uint8Array(bits.buffer)
      },
      write: (bits) => {
        set(bits.getBigInt64(0, true), bits.getBigInt64(8, true))
      },
    }
  }
  if (type === 'i64' || type === 'f64') {
    return {
      bytes: 8,
      read: () => {
        const bits = new DataView(new ArrayBuffer(8))
        bits.setBigInt64(0, get() as bigint, true)
        return new Uint8Array(bits.buffer)
      },
      write: (bits) => {
        set(bits.getBigInt64(0, true))
      },
    }
  }
  return {
    bytes: 4,
    read: () => {
      const bits = get() as number
      return Uint8Array.of(bits, bits >> 8, bits >> 16, bits >> 24)
    },
    write: (bits) => {
      set(bits.getInt32(0, true))
    },
  }
}

/** The bits of all droppable segments, as one entry behind the globals. */
export function dropAccessor(exports: WebAssembly.Exports, droppable: number): Accessor {
  const bytes = Math.ceil(droppable / 8)
  return {
    bytes,
    read: () => {
      const bits = new Uint8Array(bytes)
      for (let n = 0; n < droppable; n++) {
        const dropped = (exports[privateNames.dropped(n)] as WasmFunction)() as number
        bits[n >> 3] = (bits[n >> 3] as number) | (dropped << (n & 7))
      }
      return bits
    },
    write: (bits) => {
      for (let n = 0; n < droppable; n++) {
        if ((bits.getUint8(n >> 3) >> (n & 7)) & 1) (exports[privateNames.drop(n)] as WasmFunction)()
      }
    },
  }
}

export function badImage(message: string): SandboxError {
  return new SandboxError('BAD_IMAGE', `the image does not fit the module: ${message}`)
}

export function restoreGlobals(accessors: readonly Accessor[], globals: readonly Uint8Array[]): void {
  if (globals.length !== accessors.length) throw badImage(`${globals.length} globals instead of ${accessors.length}`)
  accessors.forEach(({ bytes }, n) => {
    const length = globals[n]?.length
    if (length !== bytes) throw badImage(`global ${n} has ${length} bytes instead of ${bytes}`)
  })
  accessors.forEach((entry, n) => {
    const bits = globals[n] as Uint8Array
    entry.write(new DataView(bits.buffer, bits.byteOffset, bits.length))
  })
}
