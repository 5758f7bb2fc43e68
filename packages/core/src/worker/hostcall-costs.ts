/**
 * What hostcalls cost, in fuel, beside the instructions that lead to them. Without it a tick could keep a worker busy far
 * longer than its fuel says, and pay next to nothing.
 *
 * The weights follow what `bench/hostcalls.bench.ts` measures: about 10 fuel for a nanosecond, as of ordinary code. They are
 * part of the cost table: who changes one raises `COST_TABLE_VERSION`.
 *
 * @module
 */
import type { Version } from '@igor/sandbox'

/** Whether calls cost anything by this version: by cost table 1 they were free. */
export const chargesCalls = ({ costTable }: Version): boolean => costTable > 1

/** Of every call, one that answers ENOSYS, too: the way there and back. */
export const CALL_COST = 300

/** Of a call beside that, whatever its length. Views of an agent's memory alone take 50 ns each. */
export const EXTRA_COST: Readonly<Record<string, number>> = {
  init_read: 700,
  rand_bytes: 700,
  random_get: 700,
  // The first hundred lines of a tick take 300 ns, those that are only counted 80.
  log_emit: 2000,
  view_show: 700,
  inbox_next: 700,
  wallet_receipt: 700,
  kv_get: 1200,
  kv_put: 2200,
  kv_delete: 1200,
  clock_time_get: 700,
  clock_res_get: 700,
  args_sizes_get: 1200,
  environ_sizes_get: 1200,
  fd_fdstat_get: 700,
  fd_write: 700,
  poll_oneoff: 5000,
}

/** Of a byte that is moved. */
const BYTE_COST = {
  /** Copied to the agent's memory: as `memory.copy` does it. */
  given: 0.25,
  /** Copied for the host to keep. */
  kept: 1,
  /** Of the tick's random stream. */
  random: 20,
  /** Of a line. As if no letter of it were ASCII: those take up to 3 ns a byte, ASCII a fiftieth of it. */
  text: 16,
  /** Of a key, which is made a string to be found. */
  key: 30,
}

/** Of a part of a call that takes many, beside its bytes. */
export const PART_COST = {
  /** A buffer of `fd_write`. */
  buffer: 600,
  /** What `fd_write` adds to a line or ends one with. */
  line: 1500,
  /** A subscription of `poll_oneoff`. */
  subscription: 1500,
}

/** Of this many bytes, in whole fuel. */
export const bytesCost = (what: keyof typeof BYTE_COST, length: number): number => Math.ceil(length * BYTE_COST[what])
