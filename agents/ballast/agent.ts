// A counter that carries weight, for measuring. Init text: `<MiB of memory to fill> <chunks of 4 KiB to change each tick>`.
import { initText, log } from "@igor/sdk-as/assembly";

const CHUNK: i32 = 4096;
const MAX_MIB: i32 = 60;

let count: u64 = 0;
let touch: i32 = 0;
let next: i32 = 0;
let start: usize = 0;
let bytes: i32 = 0;

export function agent_init(): void {
  const words = initText().split(" ");
  const mib = min(max(<i32>parseInt(words[0], 10), 1), MAX_MIB);
  touch = words.length > 1 ? max(<i32>parseInt(words[1], 10), 0) : 1;
  bytes = mib << 20;
  // Beside the runtime's heap, whose growth would double.
  const before = memory.grow(bytes >> 16);
  assert(before >= 0);
  start = <usize>before << 16;
  // xorshift64: no chunk is zero, none compresses.
  let bits: u64 = 0x9e3779b97f4a7c15;
  const end = start + bytes;
  for (let at = start; at < end; at += 8) {
    bits ^= bits << 13;
    bits ^= bits >> 7;
    bits ^= bits << 17;
    store<u64>(at, bits);
  }
  log("carries " + mib.toString() + " MiB, changes " + touch.toString() + " chunks a tick");
}

export function agent_tick(): i32 {
  count++;
  const chunks = bytes / CHUNK;
  for (let i = 0; i < touch; i++) {
    store<u64>(start + next * CHUNK, count);
    next = (next + 1) % chunks;
  }
  log("tick " + count.toString());
  return 0;
}
