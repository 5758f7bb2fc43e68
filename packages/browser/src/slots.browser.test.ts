import { afterEach, expect, test } from 'vitest'
import { claimSlot, livingSlots, type Slot, type SlotOptions } from './slots.ts'

let name = crypto.randomUUID()
const claimed: Slot[] = []

/** Claims as a new tab would, which remembers nothing. */
async function newTab(options: SlotOptions = {}): Promise<Slot> {
  sessionStorage.clear()
  return sameTab(options)
}

async function sameTab(options: SlotOptions = {}): Promise<Slot> {
  const slot = await claimSlot({ name, ...options })
  claimed.push(slot)
  return slot
}

afterEach(async () => {
  for (const slot of claimed.splice(0)) await slot.release()
  sessionStorage.clear()
  localStorage.clear()
  name = crypto.randomUUID()
})

test('each gets its own; the lowest free one is taken again', async () => {
  const [first, second, third] = [await newTab(), await newTab(), await newTab()]
  expect([first.slot, second.slot, third.slot]).toEqual(['tab-1', 'tab-2', 'tab-3'])
  expect(await livingSlots(name)).toEqual(new Set(['tab-1', 'tab-2', 'tab-3']))
  await first.release()
  await second.release()
  expect((await newTab()).slot).toBe('tab-1')
  expect((await newTab()).slot).toBe('tab-2')
  expect((await newTab()).slot).toBe('tab-4')
})

test('many at once get one each', async () => {
  const slots = await Promise.all(Array.from({ length: 20 }, () => newTab()))
  expect(new Set(slots.map(({ slot }) => slot)).size).toBe(20)
  expect(slots.map(({ slot }) => Number(slot.slice(4))).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 20 }, (_, i) => i + 1),
  )
})

test('a tab that remembers its slot gets that one, though a lower one is free', async () => {
  const first = await newTab()
  const second = await newTab()
  await first.release()
  await second.release()
  expect((await sameTab()).slot).toBe('tab-2')
})

test('a slot that is remembered but held is waited for, then left to its holder', async () => {
  const first = await newTab()
  const started = performance.now()
  expect((await sameTab()).slot).toBe('tab-2')
  expect(performance.now() - started).toBeGreaterThan(1400)
  await first.release()
})

test('a slot that becomes free while it is waited for is taken at once', async () => {
  const first = await newTab()
  const again = sameTab()
  const queued = async () => (await navigator.locks.query()).pending?.some((lock) => lock.name?.includes(name))
  while (!(await queued())) await new Promise((resolve) => requestAnimationFrame(resolve))
  const started = performance.now()
  await first.release()
  expect((await again).slot).toBe('tab-1')
  expect(performance.now() - started).toBeLessThan(1000)
})

test('a slot that was left just now is reserved for its reload; a new tab waits for it rather than making another', async () => {
  const first = await newTab()
  const left = performance.now()
  window.dispatchEvent(new PageTransitionEvent('pagehide'))
  await first.release()
  expect((await newTab()).slot).toBe('tab-1')
  expect(performance.now() - left).toBeGreaterThan(1400)
})

test('waiting ends with the signal', async () => {
  const reason = new Error('enough')
  await expect(claimSlot({ name, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  await newTab()
  await expect(claimSlot({ name, signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ name: 'TimeoutError' })
  window.dispatchEvent(new PageTransitionEvent('pagehide'))
  await claimed.pop()?.release()
  sessionStorage.clear()
  await expect(claimSlot({ name, signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ name: 'TimeoutError' })
  expect(await livingSlots(name)).toEqual(new Set())
})
