// The host's functions as they are: module `igor`, docs/design.md section 9. A function that an agent does not call is
// not imported. All but `init_read` need the capability of that name in the manifest.

/** Copies init bytes from `offset` on; returns how many, 0 at the end. Needs no capability. */
@external("igor", "init_read")
export declare function init_read(offset: i32, ptr: usize, cap: i32): i32;

/** Unix nanoseconds, fixed during the tick. Capability `clock`. */
@external("igor", "clock_now")
export declare function clock_now(): i64;

/** Fills `len` bytes; 0, or negative on failure. Capability `rand`. */
@external("igor", "rand_bytes")
export declare function rand_bytes(ptr: usize, len: i32): i32;

/** One line of UTF-8, cut at 4096 bytes. Capability `log`. */
@external("igor", "log_emit")
export declare function log_emit(ptr: usize, len: i32): void;

/** Kind 0: UTF-8 text; kind 1: an RGBA frame of width * height * 4 bytes. Capability `view`. */
@external("igor", "view_show")
export declare function view_show(kind: i32, ptr: usize, len: i32, width: i32, height: i32): i32;

/** The next message: its length, 0 when there is none, -4 when it is longer than `cap` (it stays). Capability `inbox`. */
@external("igor", "inbox_next")
export declare function inbox_next(ptr: usize, cap: i32): i32;

/** The value's length, -5 when there is none, -4 when it is longer than `cap`. Capability `kv`. */
@external("igor", "kv_get")
export declare function kv_get(key: usize, keyLen: i32, value: usize, cap: i32): i32;

/** 0, or negative on failure. Capability `kv`. */
@external("igor", "kv_put")
export declare function kv_put(key: usize, keyLen: i32, value: usize, valueLen: i32): i32;

/** 0, or negative on failure. Capability `kv`. */
@external("igor", "kv_delete")
export declare function kv_delete(key: usize, keyLen: i32): i32;

/** Microcents that are left to run on, as of the tick's beginning. Capability `wallet`. */
@external("igor", "wallet_balance")
export declare function wallet_balance(): i64;

/** Receipts that can be read, 16 at most. Capability `wallet`. */
@external("igor", "wallet_receipt_count")
export declare function wallet_receipt_count(): i32;

/** The receipt's length (64), the latest last; -5 when there is none of that number, -4 when `cap` is less. Capability `wallet`. */
@external("igor", "wallet_receipt")
export declare function wallet_receipt(index: i32, ptr: usize, cap: i32): i32;

/** Microcents that this host asks for a nominal second (10^9 fuel). Capability `pricing`. */
@external("igor", "node_price")
export declare function node_price(): i64;

/** What the functions above answer when they cannot do as asked. */
export const ERROR: i32 = -1;
export const ERROR_NOT_GRANTED: i32 = -2;
export const ERROR_NOT_AUTHORITATIVE: i32 = -3;
export const ERROR_BUFFER_TOO_SMALL: i32 = -4;
export const ERROR_NOT_FOUND: i32 = -5;
