;; The agent of the simulator: its log tells how often it ticked, a digest of everything that it ever observed, how many
;; messages came twice, and which of 512 messages came. Two lives of one agent have two digests.
;; 0 ticks u32, 4 more u32, 8 digest u64, 16 doubles u32, 64..127 bitmap; 1024 scratch, 2048 the line.
(module
  (import "igor" "clock_now" (func $now (result i64)))
  (import "igor" "rand_bytes" (func $rand (param i32 i32) (result i32)))
  (import "igor" "log_emit" (func $log (param i32 i32)))
  (import "igor" "inbox_next" (func $next (param i32 i32) (result i32)))
  (memory (export "memory") 1 4)
  (func $mix (param $x i64)
    (i64.store (i32.const 8)
      (i64.rotl
        (i64.mul (i64.xor (i64.load (i32.const 8)) (local.get $x)) (i64.const 0x9E3779B97F4A7C15))
        (i64.const 27))))
  ;; Writes $bytes bytes at $from as hex, returns the end.
  (func $hex (param $to i32) (param $from i32) (param $bytes i32) (result i32)
    (local $i i32) (local $n i32) (local $half i32)
    (block $done
      (loop $each
        (br_if $done (i32.ge_u (local.get $i) (i32.shl (local.get $bytes) (i32.const 1))))
        (local.set $half (i32.load8_u (i32.add (local.get $from) (i32.shr_u (local.get $i) (i32.const 1)))))
        (local.set $n
          (select
            (i32.and (local.get $half) (i32.const 15))
            (i32.shr_u (local.get $half) (i32.const 4))
            (i32.and (local.get $i) (i32.const 1))))
        (i32.store8 (i32.add (local.get $to) (local.get $i))
          (i32.add (local.get $n)
            (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $n) (i32.const 10)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $each)))
    (i32.add (local.get $to) (local.get $i)))
  ;; A message: id u16, kind u8. Kinds: 1 fails at half of all times, 2 asks for three more ticks, 3 grows.
  (func $take
    (local $id i32) (local $kind i32) (local $at i32) (local $bit i32)
    (local.set $id (i32.and (i32.load16_u (i32.const 1024)) (i32.const 511)))
    (local.set $kind (i32.load8_u (i32.const 1026)))
    (call $mix (i64.extend_i32_u (i32.load16_u (i32.const 1024))))
    (local.set $at (i32.add (i32.const 64) (i32.shr_u (local.get $id) (i32.const 3))))
    (local.set $bit (i32.shl (i32.const 1) (i32.and (local.get $id) (i32.const 7))))
    (if (i32.and (i32.load8_u (local.get $at)) (local.get $bit))
      (then (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 1)))))
    (i32.store8 (local.get $at) (i32.or (i32.load8_u (local.get $at)) (local.get $bit)))
    (if (i32.and (i32.eq (local.get $kind) (i32.const 1))
          (i32.shr_u (i32.mul (i32.wrap_i64 (i64.div_u (call $now) (i64.const 1000000))) (i32.const 0x9E3779B9)) (i32.const 31)))
      (then (unreachable)))
    (if (i32.eq (local.get $kind) (i32.const 2)) (then (i32.store (i32.const 4) (i32.const 3))))
    (if (i32.eq (local.get $kind) (i32.const 3))
      (then
        (drop (memory.grow (i32.const 1)))
        (i32.store (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8)) (local.get $id)))))
  (func (export "agent_tick") (result i32)
    (local $end i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (call $mix (call $now))
    (drop (call $rand (i32.const 1024) (i32.const 8)))
    (call $mix (i64.load (i32.const 1024)))
    (block $empty
      (loop $messages
        (br_if $empty (i32.le_s (call $next (i32.const 1024) (i32.const 256)) (i32.const 0)))
        (call $take)
        (br $messages)))
    (local.set $end (call $hex (i32.const 2048) (i32.const 0) (i32.const 4)))
    (local.set $end (call $hex (local.get $end) (i32.const 8) (i32.const 8)))
    (local.set $end (call $hex (local.get $end) (i32.const 16) (i32.const 4)))
    (local.set $end (call $hex (local.get $end) (i32.const 64) (i32.const 64)))
    (call $log (i32.const 2048) (i32.sub (local.get $end) (i32.const 2048)))
    (if (result i32) (i32.load (i32.const 4))
      (then
        (i32.store (i32.const 4) (i32.sub (i32.load (i32.const 4)) (i32.const 1)))
        (i32.const 1))
      (else (i32.const 0)))))
