// What authors of agents use. Export `agent_tick(): i32` (non-zero asks for another tick soon) and, if there is something
// to do once at birth, `agent_init(): void`. Whatever is in globals lives on, wherever the agent goes.
import * as host from "./host";

export { host };

/** Init bytes and messages are mostly small: one read is enough. */
const SMALL: i32 = 4096;
/** The longest message that a node delivers. */
const MAX_MESSAGE: i32 = 65536;
/** Bytes of a receipt. */
const RECEIPT: i32 = 64;
/** The longest value that is read from kv. */
const MAX_VALUE: i32 = 65536;

/** Writes one line to the agent's log. Capability `log`. */
export function log(text: string): void {
  const bytes = String.UTF8.encode(text);
  host.log_emit(changetype<usize>(bytes), bytes.byteLength);
}

/** Shows text to whoever watches; the last one of a tick wins. Capability `view`. */
export function show(text: string): void {
  const bytes = String.UTF8.encode(text);
  host.view_show(0, changetype<usize>(bytes), bytes.byteLength, 0, 0);
}

/** Shows a picture, one u32 a pixel (see `rgb`), row by row. Capability `view`. */
export function showFrame(pixels: StaticArray<u32>, width: i32, height: i32): void {
  assert(pixels.length == width * height);
  host.view_show(1, changetype<usize>(pixels), pixels.length << 2, width, height);
}

/** A pixel of `showFrame`; each part 0 to 255. */
// @ts-ignore: decorator
@inline
export function rgb(red: u32, green: u32, blue: u32): u32 {
  return 0xff000000 | (blue << 16) | (green << 8) | red;
}

/** Unix time in nanoseconds; the same during a whole tick, never less than in the tick before. Capability `clock`. */
export function now(): i64 {
  return host.clock_now();
}

/** Unix time in milliseconds. Capability `clock`. */
export function nowMs(): i64 {
  return host.clock_now() / 1000000;
}

const randomSlot = new StaticArray<u64>(1);

/** 64 random bits. The host knows them ahead: no lottery and no key may rest on them. Capability `rand`. */
export function random64(): u64 {
  assert(host.rand_bytes(changetype<usize>(randomSlot), 8) == 0);
  return randomSlot[0];
}

/** A number from 0 up to but not including 1. Capability `rand`. */
export function random(): f64 {
  return <f64>(random64() >> 11) / 9007199254740992.0;
}

/** A whole number from 0 up to but not including `below`. Capability `rand`. */
export function randomInt(below: i32): i32 {
  assert(below > 0);
  return <i32>(random64() % <u64>below);
}

/** The next message as text, or null when the inbox is empty. Capability `inbox`. */
export function nextMessage(): string | null {
  const bytes = nextMessageBytes();
  return bytes === null ? null : String.UTF8.decode(bytes);
}

/** The next message, or null when the inbox is empty. Capability `inbox`. */
export function nextMessageBytes(): ArrayBuffer | null {
  let room = new ArrayBuffer(SMALL);
  let length = host.inbox_next(changetype<usize>(room), SMALL);
  if (length == host.ERROR_BUFFER_TOO_SMALL) {
    room = new ArrayBuffer(MAX_MESSAGE);
    length = host.inbox_next(changetype<usize>(room), MAX_MESSAGE);
  }
  return length > 0 ? room.slice(0, length) : null;
}

/** What the agent was given at birth, at most 1 MiB. */
export function initBytes(): ArrayBuffer {
  let room = new ArrayBuffer(SMALL);
  let length = 0;
  while (true) {
    const read = host.init_read(length, changetype<usize>(room) + length, room.byteLength - length);
    if (read <= 0) return room.slice(0, length);
    length += read;
    if (length == room.byteLength) {
      const larger = new ArrayBuffer(room.byteLength * 2);
      memory.copy(changetype<usize>(larger), changetype<usize>(room), length);
      room = larger;
    }
  }
}

/** What the agent was given at birth, as text. */
export function initText(): string {
  return String.UTF8.decode(initBytes());
}

/** Reads what `put` wrote under this key, or null. Capability `kv`. */
export function get(key: string): string | null {
  const name = String.UTF8.encode(key);
  let room = new ArrayBuffer(SMALL);
  let length = host.kv_get(changetype<usize>(name), name.byteLength, changetype<usize>(room), SMALL);
  if (length == host.ERROR_BUFFER_TOO_SMALL) {
    room = new ArrayBuffer(MAX_VALUE);
    length = host.kv_get(changetype<usize>(name), name.byteLength, changetype<usize>(room), MAX_VALUE);
  }
  return length >= 0 ? String.UTF8.decode(room.slice(0, length)) : null;
}

/** Keeps text under a key; false when the node refuses (too large). Capability `kv`. */
export function put(key: string, value: string): bool {
  const name = String.UTF8.encode(key);
  const bytes = String.UTF8.encode(value);
  return host.kv_put(changetype<usize>(name), name.byteLength, changetype<usize>(bytes), bytes.byteLength) == 0;
}

/** Forgets a key; false when it was not there. Capability `kv`. */
export function remove(key: string): bool {
  const name = String.UTF8.encode(key);
  return host.kv_delete(changetype<usize>(name), name.byteLength) == 0;
}

/** What the agent was billed up to a record that its host signed. */
export class Receipt {
  /** The last tick that it covers. */
  tick: u64;
  /** Unix milliseconds at which it was signed. */
  time: u64;
  /** Since birth. */
  fuel: u64;
  /** Microcents since birth. */
  cost: u64;
  /** SHA-256 by which the record can be asked for, 32 bytes. */
  record: Uint8Array;

  constructor(bytes: ArrayBuffer) {
    const at = changetype<usize>(bytes);
    this.tick = load<u64>(at);
    this.time = load<u64>(at, 8);
    this.fuel = load<u64>(at, 16);
    this.cost = load<u64>(at, 24);
    this.record = Uint8Array.wrap(bytes, 32, 32);
  }
}

/** Microcents that are left to run on, as of the tick's beginning. Capability `wallet`. */
export function balance(): i64 {
  return host.wallet_balance();
}

/** Receipts that `receipt` can read: the last ones, 16 at most. Capability `wallet`. */
export function receiptCount(): i32 {
  return host.wallet_receipt_count();
}

/** One of the last receipts, the latest with the highest number; null when there is none of that number. Capability `wallet`. */
export function receipt(index: i32): Receipt | null {
  const room = new ArrayBuffer(RECEIPT);
  return host.wallet_receipt(index, changetype<usize>(room), RECEIPT) == RECEIPT ? new Receipt(room) : null;
}

/** Microcents that this host asks for a nominal second (10^9 fuel). Capability `pricing`. */
export function price(): i64 {
  return host.node_price();
}

/** Milliseconds as people say them: `42 s`, `5 min`, `3 h 20 min`, `2 d 4 h`. */
export function duration(ms: i64): string {
  const seconds = ms / 1000;
  if (seconds < 60) return seconds.toString() + " s";
  const minutes = seconds / 60;
  if (minutes < 60) return minutes.toString() + " min";
  const hours = minutes / 60;
  if (hours < 24) return hours.toString() + " h " + (minutes % 60).toString() + " min";
  return (hours / 24).toString() + " d " + (hours % 24).toString() + " h";
}
