/**
 * The built page, as the page server serves it: read once, so that a request names an entry of a table and never a path.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

export type Encoding = 'br' | 'gzip' | 'identity'

export interface PageFile {
  readonly type: string
  /** Strong validator of the bytes as they are without encoding. */
  readonly etag: string
  /** True if its name changes with its content. */
  readonly immutable: boolean
  /** Length without encoding. */
  readonly size: number
  /** False for what is compressed already. */
  readonly compressible: boolean
  /** The bytes, compressed on first use and kept. */
  body(encoding: Encoding): Promise<Uint8Array>
}

export type PageFiles = ReadonlyMap<string, PageFile>

/** The page is some hundred KiB; this is there to notice a wrong folder. */
const MAX_FILES = 500
const MAX_BYTES = 64 * 1024 * 1024

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
}
/** Compressed already. */
const DENSE = new Set(['.png', '.ico', '.woff2'])
/** A folder named by what is in it, or esbuild's `[name]-[hash]`: eight characters of base 32. */
const HASHED = /^\/app\/[0-9a-f]{12}\/|-[A-Z0-9]{8}\.[a-z0-9]+(\.map)?$/
const BROTLI_QUALITY = 9

const brotli = promisify(brotliCompress)
const gzipped = promisify(gzip)

/**
 * Reads a folder with all its folders. `index.html` is also found under `/`.
 *
 * @returns URL path -> file; undefined when the page was not built
 */
export async function readPage(folder: string): Promise<PageFiles | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = new Map<string, PageFile>()
  let total = 0
  for (const entry of entries) {
    // Neither links nor hidden files belong to a page.
    if (!entry.isFile() || entry.name.startsWith('.')) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = await readFile(path)
    total += bytes.length
    if (files.size >= MAX_FILES || total > MAX_BYTES) throw new Error(`${folder} holds more than a page: build it again`)
    const url = `/${relative(folder, path).split(sep).map(encodeURIComponent).join('/')}`
    files.set(url, pageFile(url, bytes))
  }
  const index = files.get('/index.html')
  if (index === undefined) return undefined
  files.set('/', index)
  return files
}

function pageFile(url: string, bytes: Uint8Array): PageFile {
  const extension = extname(url)
  const bodies = new Map<Encoding, Promise<Uint8Array>>([['identity', Promise.resolve(bytes)]])
  const compress = (encoding: Encoding): Promise<Uint8Array> =>
    encoding === 'br' ? brotli(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } }) : gzipped(bytes)
  return {
    type: TYPES[extension] ?? 'application/octet-stream',
    etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
    immutable: HASHED.test(url),
    size: bytes.length,
    compressible: !DENSE.has(extension),
    body(encoding) {
      let body = bodies.get(encoding)
      if (body === undefined) {
        body = compress(encoding)
        bodies.set(encoding, body)
      }
      return body
    },
  }
}
