/**
 * A module that has something of everything in the profile.
 *
 * @module
 */
import { wat } from './wat.ts'

export const WIDE = `
(module
  (type $binary (func (param i32 i32) (result i32)))
  (import "env" "add" (func $add (type $binary)))
  (import "env" "note" (func $note (param i64 f64)))
  (memory (export "memory") 1 4)
  (table $t (export "table") 4 8 funcref)
  (table $externs 1 externref)
  (global $counter (mut i32) (i32.const 5))
  (global $wide (mut i64) (i64.const -7))
  (global $single (export "single") (mut f32) (f32.const 1.5))
  (global $double (mut f64) (f64.const nan:0x4000000000001))
  (global $lanes (mut v128) (v128.const i32x4 1 2 3 4))
  (global $constant i32 (i32.const 42))
  (global $reference funcref (ref.func $sum))
  (elem (table $t) (i32.const 0) func $sum $product)
  (elem (i32.const 2) funcref (ref.func $sum) (ref.null func))
  (elem $unused declare func $fib)
  (data (i32.const 16) "hello")
  (data $later "passive")
  (start $begin)
  (func $begin (global.set $counter (i32.add (global.get $counter) (i32.const 100))))
  (func $sum (export "sum") (type $binary) (i32.add (local.get 0) (local.get 1)))
  (func $product (type $binary) (i32.mul (local.get 0) (local.get 1)))
  (func (export "indirect") (param i32 i32 i32) (result i32)
    (call_indirect $t (type $binary) (local.get 1) (local.get 2) (local.get 0)))
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "tick") (result i32)
    (global.set $counter (i32.add (global.get $counter) (i32.const 1)))
    (global.set $wide (i64.mul (global.get $wide) (i64.const 31)))
    (global.set $single (f32.sqrt (global.get $single)))
    (global.set $lanes (i32x4.add (global.get $lanes) (i32x4.splat (global.get $counter))))
    (i32.store (i32.const 1024) (call $add (global.get $counter) (global.get $constant)))
    (call $note (global.get $wide) (global.get $double))
    (global.get $counter))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "load") (param i32) (result i32) (i32.load8_u offset=3 align=1 (local.get 0)))
  (func (export "init") (param i32 i32 i32) (memory.init $later (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop") (data.drop $later))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "truncate") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func (export "saturate") (param f64) (result i32) (i32.trunc_sat_f64_s (local.get 0)))
  (func (export "extend") (param i64) (result i64) (i64.extend8_s (local.get 0)))
  (func (export "abort") unreachable)
  (func $deep (export "deep") (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))
  (func (export "isNull") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0))))
  (func (export "tableSize") (result i32) (table.size $externs))
  (func (export "switch") (param i32) (result i32)
    (block $c (block $b (block $a (br_table $a $b $c (local.get 0))) (return (i32.const 10))) (return (i32.const 20)))
    (i32.const 30))
  (func (export "loop") (param i32) (result i64) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (local.get 0))))
      (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $sum))
  (func $pair (param i32) (result i32 i32) (local.get 0) (i32.const 3))
  (func (export "multi") (param i32) (result i32)
    (call $pair (local.get 0))
    (block (param i32 i32) (result i32) (i32.sub))
    (select (result i32) (i32.const 9) (local.get 0)))
  (func (export "simd") (param f32) (result f32)
    (f32x4.extract_lane 2 (f32x4.mul (f32x4.splat (local.get 0)) (v128.const f32x4 1 2 3 4))))
  (func (export "vector") (result v128) (global.get $lanes))
  (func (export "two") (result i32 i32) (i32.const 1) (i32.const 2))
)`

export function wide(): Uint8Array<ArrayBuffer> {
  return wat(WIDE)
}

/** Lets every import in. */
export const ALLOW = { maxMemoryBytes: 64 * 1024 * 1024, allowImport: () => true as const }
