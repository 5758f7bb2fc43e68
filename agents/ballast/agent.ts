// A counter that carries weight, for measuring. Init text: `<size> <chunks> [<of>] [busy]`. Fills `size` MiB (`64K`: KiB) of memory,
// changes so many chunks of 4 KiB each tick, one after the other or only `of` so many, and if busy computes for some milliseconds and
// asks for the next tick at once.
import { initText, log } from "@igor/sdk-as/assembly";

const CHUNK: i32 = 4096;
const PAGE: i32 = 65536;
const SPIN: i32 = 1 << 21;
const MAX_KIB: i32 = 60 << 10;

let count: u64 = 0;
let touch: i32 = 0;
let next: i32 = 0;
let window: i32 = 0;
let start: usize = 0;
let busy: i32 = 0;
let bits: u64 = 0x9e3779b97f4a7c15;

// xorshift64
// @ts-ignore: decorator
@inline
function stir(): void {
  bits ^= bits << 13;
  bits ^= bits >> 7;
  bits ^= bits << 17;
}

export function agent_init(): void {
  const words = initText().split(" ");
  const number = <i32>parseInt(words[0], 10);
  const kib = words[0].endsWith("K") ? number : number << 10;
  const pages = min(max(kib, PAGE >> 10), MAX_KIB) / (PAGE >> 10);
  const bytes = pages * PAGE;
  touch = words.length > 1 ? max(<i32>parseInt(words[1], 10), 0) : 1;
  window = bytes / CHUNK;
  if (words.length > 2) window = min(max(<i32>parseInt(words[2], 10), 1), window);
  busy = words.length > 3 && words[3] == "busy" ? 1 : 0;
  // Beside the runtime's heap, whose growth would double.
  const before = memory.grow(pages);
  assert(before >= 0);
  start = <usize>before << 16;
  // No chunk is zero, none compresses.
  const end = start + bytes;
  for (let at = start; at < end; at += 8) {
    stir();
    store<u64>(at, bits);
  }
  log("carries " + (bytes >> 10).toString() + " KiB, changes " + touch.toString() + " chunks a tick");
}

export function agent_tick(): i32 {
  count++;
  for (let i = 0; i < touch; i++) {
    store<u64>(start + next * CHUNK, count);
    next = (next + 1) % window;
  }
  log("tick " + count.toString());
  if (busy) for (let i = 0; i < SPIN; i++) stir();
  return busy;
}
