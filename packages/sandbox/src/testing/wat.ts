/**
 * Test modules from text.
 *
 * @module
 */
import wabt from 'wabt'

const assembler = await wabt()

/** Assembles a module in WebAssembly's text format. Feature proposals are on, so that refused ones can be written. */
export function wat(source: string, features: Record<string, boolean> = {}): Uint8Array<ArrayBuffer> {
  const module = assembler.parseWat('test.wat', source, features)
  try {
    return module.toBinary({}).buffer.slice()
  } finally {
    module.destroy()
  }
}
