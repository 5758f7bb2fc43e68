/**
 * Files that come in and go out: reading what was dropped or chosen, saving what is taken along.
 *
 * @module
 */

/** Larger than any agent: a file beyond it is refused before it is read. */
export const MAX_FILE_BYTES = 256 * 1024 * 1024
const MAX_MANIFEST_BYTES = 64 * 1024
const MAX_INIT_BYTES = 1024 * 1024
const MAX_FILES = 20

export interface NamedFile {
  readonly name: string
  readonly size: number
}

export interface Sorted<F extends NamedFile> {
  readonly modules: readonly F[]
  readonly cars: readonly F[]
  readonly manifest?: F
  readonly init?: F
  /** What is wrong with the lot, if anything: nothing is started then. */
  readonly problem?: string
}

/** Tells by name which file is what. Pure. */
export const sortFiles = <F extends NamedFile>(files: readonly F[]): Sorted<F> => {
  const ends = (end: string): F[] => files.filter((file) => file.name.toLowerCase().endsWith(end))
  const modules = ends('.wasm')
  const cars = ends('.car')
  const manifests = ends('.json')
  const rest = files.filter((file) => !modules.includes(file) && !cars.includes(file) && !manifests.includes(file))
  const [manifest] = manifests
  const [init] = rest
  const large = files.find((file) => file.size > MAX_FILE_BYTES)
  let problem: string | undefined
  if (files.length === 0) problem = 'That was no file. Drop a .wasm module, or the .car file of an agent.'
  else if (files.length > MAX_FILES) problem = `That is ${files.length} files; at most ${MAX_FILES} at a time.`
  else if (large) problem = `${large.name} is larger than an agent can be (256 MiB).`
  else if (modules.length === 0 && cars.length === 0) {
    problem =
      manifest && files.length === 1
        ? 'A manifest alone starts nothing: drop the .wasm module together with it.'
        : `${files[0]?.name ?? 'That'} is neither a .wasm module nor the .car file of an agent.`
  } else if (manifests.length > 1) problem = 'That is more than one manifest (.json): drop one module with its own.'
  else if (rest.length > 1)
    problem = `Besides module and manifest there may be one file more, for its init; that was ${rest.length}.`
  else if (modules.length > 1 && (manifest || init)) problem = 'With a manifest or an init file, drop one module at a time.'
  else if (modules.length === 0 && (manifest || init)) problem = 'A .car file holds its own manifest and init: drop it alone.'
  else if (manifest && manifest.size > MAX_MANIFEST_BYTES) problem = `${manifest.name} is larger than a manifest can be (64 KiB).`
  else if (init && init.size > MAX_INIT_BYTES) problem = `${init.name} is larger than an init can be (1 MiB).`
  return {
    modules,
    cars,
    ...(manifest ? { manifest } : {}),
    ...(init ? { init } : {}),
    ...(problem === undefined ? {} : { problem }),
  }
}

export const readBytes = async (file: File): Promise<Uint8Array> => new Uint8Array(await file.arrayBuffer())

/** Hands bytes to the person as a file. */
export const saveFile = (name: string, contents: Uint8Array | string, type = 'application/octet-stream'): void => {
  const url = URL.createObjectURL(new Blob([contents as BlobPart], { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The download has its own hold on the blob once it began.
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

/** Lets the person choose files; empty if they chose none. */
export const chooseFiles = (accept: string, multiple: boolean): Promise<File[]> =>
  new Promise((resolve) => {
    const input = document.createElement('input')
    input.type = 'file'
    input.accept = accept
    input.multiple = multiple
    input.addEventListener('change', () => resolve([...(input.files ?? [])]))
    input.addEventListener('cancel', () => resolve([]))
    input.click()
  })
