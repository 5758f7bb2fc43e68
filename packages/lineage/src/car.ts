/**
 * CARv1 as Igor uses it, on @ipld/car: one root, and one spelling of a file. What a library accepts in
 * several spellings (longer varints, CARv2 around it) is refused by writing it again and comparing:
 * an exported agent has no byte that means nothing.
 *
 * @module
 */
import { blockLength, createWriter, headerLength } from '@ipld/car/buffer-writer'
import { bytesReader, createDecoder } from '@ipld/car/decoder'
import { CID } from 'multiformats/cid'
import type { Block } from './blocks.ts'
import { equalBytes } from './bytes.ts'
import { LineageError } from './errors.ts'
import { cid, DAG_CBOR, RAW } from './schema.ts'
import { MAX_BLOCK_BYTES } from './types.ts'

/** A whole memory of 64 MiB, a module as large, and as much again. Check a file's size before reading it. */
export const MAX_CAR_BYTES = 256 * 1024 * 1024
/** A full memory's chunks and 20,000 records fit; a file of tiny blocks cannot exhaust memory. */
export const MAX_CAR_BLOCKS = 50_000

const readCid = cid(RAW, DAG_CBOR)
const readRoot = cid(DAG_CBOR)

export interface CarLimits {
  readonly maxBytes?: number
  readonly maxBlocks?: number
}

/** What could be read; `error` is where it ended, if that was not the end of the file. */
export interface Sections {
  readonly root?: CID
  /** In the file's order; views into it. Not hashed yet. */
  readonly blocks: readonly Block[]
  readonly error?: LineageError
}

type Reader = ReturnType<typeof bytesReader>

/** A section that is shorter than its CID would send the library's reader backwards, for ever. */
const forwardOnly = (reader: Reader): Reader => ({
  upTo: (length) => reader.upTo(length),
  exactly: async (length, seek) => {
    if (length < 0) throw new Error('a block is shorter than its CID')
    return reader.exactly(length, seek)
  },
  seek: (length) => reader.seek(length),
  get pos() {
    return reader.pos
  },
})

/** Reads as far as the file is whole. Never throws for what is in the file. */
export async function readSections(bytes: Uint8Array, limits: CarLimits = {}): Promise<Sections> {
  const { maxBytes = MAX_CAR_BYTES, maxBlocks = MAX_CAR_BLOCKS } = limits
  const blocks: Block[] = []
  let root: CID | undefined
  let at = 0
  try {
    if (bytes.length > maxBytes)
      throw new LineageError('TOO_LARGE', `the file has ${bytes.length} bytes, at most ${maxBytes} are read`)
    const reader = forwardOnly(bytesReader(bytes))
    const decoder = createDecoder(reader)
    const { roots, version } = await decoder.header()
    if (version !== 1 || roots.length !== 1) throw new LineageError('BAD_CAR', 'the file is not a CARv1 with one root')
    root = ownCid(roots[0], readRoot)
    at = reader.pos
    for await (const block of decoder.blocks()) {
      if (blocks.length >= maxBlocks) throw new LineageError('TOO_LARGE', `the file has more than ${maxBlocks} blocks`)
      if (block.bytes.length > MAX_BLOCK_BYTES)
        throw new LineageError('BAD_CAR', `the block at byte ${at} is larger than ${MAX_BLOCK_BYTES} bytes`)
      blocks.push({ cid: ownCid(block.cid, readCid), bytes: block.bytes })
      at = reader.pos
    }
  } catch (cause) {
    const error =
      cause instanceof LineageError
        ? cause
        : new LineageError('BAD_CAR', `the file cannot be read from byte ${at} on: it is cut off, damaged, or not a .car file`, {
            cause,
          })
    return { ...(root === undefined ? {} : { root }), blocks, error }
  }
  if (!equalBytes(spell(root, blocks), bytes)) {
    return { root, blocks, error: new LineageError('BAD_CAR', 'the file is not spelled as Igor writes it') }
  }
  return { root, blocks }
}

/** A copy: a CID must not keep a whole file alive. */
function ownCid(value: unknown, read: (value: unknown, path: string) => CID): CID {
  try {
    const found = CID.asCID(value)
    return read(found === null ? value : CID.decode(found.bytes.slice()), 'cid')
  } catch (cause) {
    throw new LineageError('BAD_CAR', `the file names a block in a way that is not used here: ${String(value)}`, { cause })
  }
}

/**
 * @param blocks written in this order, duplicates once
 * @throws LineageError TOO_LARGE
 */
export function writeSections(root: CID, blocks: Iterable<Block>): Uint8Array {
  const once = new Map<string, Block>()
  for (const block of blocks) {
    const name = block.cid.toString()
    if (block.bytes.length > MAX_BLOCK_BYTES)
      throw new LineageError('TOO_LARGE', `the block ${name} has more than ${MAX_BLOCK_BYTES} bytes`)
    if (!once.has(name)) once.set(name, block)
  }
  const length = lengthOf(root, once.values())
  if (length > MAX_CAR_BYTES || once.size > MAX_CAR_BLOCKS) {
    throw new LineageError('TOO_LARGE', `the file would have ${length} bytes in ${once.size} blocks, more than is read again`)
  }
  return spell(root, [...once.values()])
}

function lengthOf(root: CID, blocks: Iterable<Block>): number {
  let length = headerLength({ roots: [root] })
  for (const block of blocks) length += blockLength(block)
  return length
}

function spell(root: CID, blocks: readonly Block[]): Uint8Array {
  const out = new Uint8Array(lengthOf(root, blocks))
  const writer = createWriter(out.buffer, { roots: [root] })
  for (const block of blocks) writer.write(block)
  return writer.close()
}
