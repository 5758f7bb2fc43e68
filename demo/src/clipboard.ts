/**
 * Copying to the clipboard, with a word on whether it worked.
 *
 * @module
 */
import type { App } from './state.ts'

export const copyText = async (app: App, what: string, text: string, button?: HTMLElement): Promise<void> => {
  try {
    await navigator.clipboard.writeText(text)
    app.announce(`Copied ${what}.`)
    if (button) {
      button.dataset.done = 'true'
      setTimeout(() => delete button.dataset.done, 1500)
    }
  } catch {
    app.note('warn', `The browser did not let this page copy ${what}. Select it and copy it by hand.`)
    app.announce(`The browser did not let this page copy ${what}.`, true)
  }
}
