/**
 * The agents that the server offers, and fetching one.
 *
 * @module
 */

export interface GalleryItem {
  readonly id: string
  readonly title: string
  /** One line on what it shows. */
  readonly line: string
  readonly wasm: string
  readonly manifest?: string
  /** Text for its init. */
  readonly init?: string
}

/** Larger than any agent in a gallery; a page must not swallow what a server happens to send. */
const MAX_MODULE_BYTES = 32 * 1024 * 1024
const MAX_ITEMS = 50
const TIMEOUT_MS = 10_000

const item = (value: unknown): GalleryItem | undefined => {
  if (typeof value !== 'object' || value === null) return undefined
  const { id, title, line, wasm, manifest, init } = value as Record<string, unknown>
  if (typeof id !== 'string' || typeof title !== 'string' || typeof wasm !== 'string') return undefined
  return {
    id,
    title,
    line: typeof line === 'string' ? line : '',
    wasm,
    ...(typeof manifest === 'string' ? { manifest } : {}),
    ...(typeof init === 'string' ? { init } : {}),
  }
}

/** @throws Error when the list cannot be read */
export const loadGallery = async (): Promise<GalleryItem[]> => {
  const response = await fetch('/gallery.json', { signal: AbortSignal.timeout(TIMEOUT_MS) })
  if (!response.ok) throw new Error(`The server answered ${response.status} for its list of agents.`)
  const list: unknown = await response.json()
  if (!Array.isArray(list)) throw new Error('The list of agents on the server is not a list.')
  return list.slice(0, MAX_ITEMS).flatMap((value) => item(value) ?? [])
}

const fetchBytes = async (path: string): Promise<Uint8Array> => {
  const response = await fetch(new URL(path, new URL('/', location.href)), { signal: AbortSignal.timeout(TIMEOUT_MS) })
  if (!response.ok) throw new Error(`The server answered ${response.status} for ${path}.`)
  const bytes = new Uint8Array(await response.arrayBuffer())
  if (bytes.length > MAX_MODULE_BYTES) throw new Error(`${path} is larger than an agent can be.`)
  return bytes
}

export interface Parts {
  readonly module: Uint8Array
  readonly manifest?: Uint8Array
  readonly init?: Uint8Array
}

export const fetchParts = async (item: GalleryItem): Promise<Parts> => {
  const [module, manifest] = await Promise.all([
    fetchBytes(item.wasm),
    item.manifest === undefined ? undefined : fetchBytes(item.manifest),
  ])
  return {
    module,
    ...(manifest === undefined ? {} : { manifest }),
    ...(item.init === undefined ? {} : { init: new TextEncoder().encode(item.init) }),
  }
}
