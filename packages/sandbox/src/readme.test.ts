import { expect, test } from 'vitest'
import * as sandbox from './index.ts'
import { wat } from './testing/wat.ts'

const PROGRAM = `(module (import "env" "now" (func $now (result i64))) (memory 1) (global $n (mut i32) (i32.const 0))
  (func (export "tick") (result i32)
    (i64.store (i32.const 8) (call $now))
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (global.get $n)))`

test('the example in the README runs', async () => {
  const url = new URL('../README.md', import.meta.url)
  const { default: readme } = (await import(/* @vite-ignore */ `${url.pathname}?raw`)) as { default: string }
  const example = /```ts\n(.*?)```/s.exec(readme)?.[1]
  const script = example?.replace(/import (\{.*?\}) from '@igor\/sandbox'/, 'const $1 = sandbox').replaceAll(' as const', '')
  const said: unknown[] = []
  const run = new Function('sandbox', 'bytes', 'console', `return (async () => {${script}})()`)
  await run(sandbox, wat(PROGRAM), { log: (...values: unknown[]) => said.push(...values) })
  expect(said).toEqual([2, 0n])
})
