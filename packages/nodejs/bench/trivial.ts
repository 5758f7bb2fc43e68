/**
 * The agent that benches run when the agent does not matter.
 *
 * @module
 */
import { buildAgent, count, i32 } from '../../core/src/worker/fixtures/wasm.ts'

const COUNTER_AT = 8

/** Counts its ticks in memory. @param answer 1: it always has more to do; 0: it rests until the next is due */
export const trivial = (answer: 0 | 1): Uint8Array => buildAgent({ memory: 1, tick: [...count(COUNTER_AT), ...i32(answer)] })
