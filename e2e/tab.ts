/**
 * What the pages of `slots.spec.ts` and `storage.spec.ts` run: the browser platform, laid out on `window.tab`.
 *
 * @module
 */
import * as browser from '@igor/browser'

/** Filled once the page holds a slot. */
export interface Tab {
  readonly browser: typeof browser
  readonly slot: Promise<browser.Slot>
  readonly store: Promise<Awaited<ReturnType<typeof browser.openIdbStore>>>
}

declare global {
  var tab: Tab
}

browser.guardBackForwardCache()
globalThis.tab = { browser, slot: browser.claimSlot(), store: browser.openIdbStore() }
