/**
 * The capabilities that an agent may be granted and the imports that each of them opens
 * (docs/design.md, section 9). The manifest, the loader and the hostcalls all read this one table.
 *
 * @module
 */

export const WASI = 'wasi_snapshot_preview1'

/** Functions of module `igor` and of WASI preview 1, by the capability that opens them, with their types. */
const OFFERED = {
  clock: { igor: { clock_now: '-> i64' }, wasi: { clock_res_get: 'i32 i32 -> i32', clock_time_get: 'i32 i64 i32 -> i32' } },
  rand: { igor: { rand_bytes: 'i32 i32 -> i32' }, wasi: { random_get: 'i32 i32 -> i32' } },
  log: { igor: { log_emit: 'i32 i32 ->' }, wasi: { fd_write: 'i32 i32 i32 i32 -> i32' } },
  view: { igor: { view_show: 'i32 i32 i32 i32 i32 -> i32' }, wasi: {} },
  inbox: { igor: { inbox_next: 'i32 i32 -> i32' }, wasi: {} },
  wallet: {
    igor: { wallet_balance: '-> i64', wallet_receipt_count: '-> i32', wallet_receipt: 'i32 i32 i32 -> i32' },
    wasi: {},
  },
  pricing: { igor: { node_price: '-> i64' }, wasi: {} },
  kv: {
    igor: { kv_get: 'i32 i32 i32 i32 -> i32', kv_put: 'i32 i32 i32 i32 -> i32', kv_delete: 'i32 i32 -> i32' },
    wasi: {},
  },
} as const

/** Part of the interface, but no version of this node serves them yet: asking is refused, never ignored. */
const WITHHELD = {
  http: ['http_request'],
  x402: ['wallet_pay'],
} as const

/** Open to everyone. */
const INIT_READ = 'i32 i32 i32 -> i32'
/** Those of the open WASI functions that read what they are handed. */
const WASI_TYPES: Readonly<Record<string, string>> = {
  args_sizes_get: 'i32 i32 -> i32',
  environ_sizes_get: 'i32 i32 -> i32',
  fd_fdstat_get: 'i32 i32 -> i32',
  poll_oneoff: 'i32 i32 i32 i32 -> i32',
  proc_exit: 'i32 ->',
}

/**
 * WASI functions that touch nothing but the program itself: open to everyone, so that C, Rust and Go
 * programs load. Most of them answer ENOSYS.
 */
const WASI_OPEN: ReadonlySet<string> = new Set(
  (
    'args_get args_sizes_get environ_get environ_sizes_get fd_advise fd_allocate fd_close fd_datasync fd_fdstat_get ' +
    'fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size fd_filestat_set_times fd_pread ' +
    'fd_prestat_dir_name fd_prestat_get fd_pwrite fd_read fd_readdir fd_renumber fd_seek fd_sync fd_tell ' +
    'path_create_directory path_filestat_get path_filestat_set_times path_link path_open path_readlink ' +
    'path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff proc_exit proc_raise sched_yield ' +
    'sock_accept sock_recv sock_send sock_shutdown'
  ).split(' '),
)

export type Capability = keyof typeof OFFERED

/** Names of the capabilities that this node offers. */
export const CAPABILITIES = Object.keys(OFFERED) as readonly Capability[]

/** True for a capability of the interface that this node does not offer. */
export const isWithheld = (name: string): boolean => Object.hasOwn(WITHHELD, name)

export const isCapability = (name: string): name is Capability => Object.hasOwn(OFFERED, name)

/** Imports, as `module.name`, that a granted capability opens. */
export const importsOf = (capability: Capability): readonly string[] => {
  const { igor, wasi } = OFFERED[capability]
  return [...Object.keys(igor).map((name) => `igor.${name}`), ...Object.keys(wasi).map((name) => `${WASI}.${name}`)]
}

const NEEDS: ReadonlyMap<string, Capability> = new Map(
  CAPABILITIES.flatMap((capability) => importsOf(capability).map((name) => [name, capability] as const)),
)

/** Names of WASI functions that the shim has to provide, whatever is granted. */
export const wasiNames = (): readonly string[] => [...WASI_OPEN]

/** A function's type as a module declares it. */
export interface ImportType {
  readonly params: readonly string[]
  readonly results: readonly string[]
}

export type ImportVerdict =
  | { readonly ok: true }
  /** `capability`: it would be let in if the manifest asked for more, or by another node. */
  | { readonly ok: false; readonly capability: boolean; readonly reason: string }

const judgeType = (full: string, type: ImportType, expected: string): ImportVerdict => {
  const declared = `${type.params.join(' ')} -> ${type.results.join(' ')}`.trim()
  if (declared === expected) return { ok: true }
  return { ok: false, capability: false, reason: `${full} is (${expected}), the module declares (${declared})` }
}

/** The type of a function that a capability opens. */
const typeOf = (capability: Capability, module: string, name: string): string => {
  const { igor, wasi } = OFFERED[capability]
  return ((module === WASI ? wasi : igor) as Readonly<Record<string, string>>)[name] ?? ''
}

const judgeWasi = (full: string, name: string, type: ImportType): ImportVerdict => {
  // Without a type of its own, it answers the same number whatever it is handed.
  return judgeType(full, type, WASI_TYPES[name] ?? `${type.params.join(' ')} -> i32`.trim())
}

/** Whether a module may import a function, and if not, why and what to do. */
export const judgeImport = (module: string, name: string, type: ImportType, granted: readonly string[]): ImportVerdict => {
  const full = `${module}.${name}`
  const needs = NEEDS.get(full)
  if (needs !== undefined) {
    if (granted.includes(needs)) return judgeType(full, type, typeOf(needs, module, name))
    const grant = `"capabilities": {"${needs}": {"version": 1}}`
    return { ok: false, capability: true, reason: `it needs the capability "${needs}"; grant it in the manifest: ${grant}` }
  }
  if (full === 'igor.init_read') return judgeType(full, type, INIT_READ)
  if (module === WASI && WASI_OPEN.has(name)) return judgeWasi(full, name, type)
  for (const [capability, names] of Object.entries(WITHHELD)) {
    if (module === 'igor' && (names as readonly string[]).includes(name)) {
      return { ok: false, capability: true, reason: `it needs the capability "${capability}", which this node does not offer` }
    }
  }
  const hint = full === 'env.abort' ? '; with AssemblyScript, build with --use abort=' : ''
  return { ok: false, capability: false, reason: `agents import functions of "igor" and "${WASI}" that the interface has${hint}` }
}
