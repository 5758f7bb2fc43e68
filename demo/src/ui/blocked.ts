/**
 * One screen instead of the page, where it cannot work: why, and what to do.
 *
 * @module
 */
import { h } from '../dom.ts'
import { said } from '../words.ts'
import { icon } from './icons.ts'

export interface Reason {
  readonly feature: string
  readonly why: string
  readonly remedy: string
}

const screen = (title: string, lead: string, ...rest: HTMLElement[]): void => {
  document.body.replaceChildren(
    h(
      'main',
      { class: 'blocked', id: 'blocked', attr: { role: 'alert' } },
      h('span', { class: 'brand-mark', attr: { 'aria-hidden': 'true' } }),
      h('h1', { text: title }),
      h('p', { class: 'intro-text', text: lead }),
      ...rest,
    ),
  )
}

/** This browser, or the way the page was opened, does not do. */
export const showBlocked = (missing: readonly Reason[]): void =>
  screen(
    'This page cannot be a node here.',
    'It would hold agents: small living programs that must not get lost. For that it needs something that is missing.',
    h(
      'ul',
      { class: 'reasons' },
      ...missing.map((reason) =>
        h(
          'li',
          { id: 'missing' },
          icon('warn'),
          h(
            'div',
            {},
            h('h2', { text: reason.feature }),
            h('p', { text: reason.why }),
            h('p', { class: 'remedy', text: reason.remedy }),
          ),
        ),
      ),
    ),
  )

/** The node did not start. */
export const showFailed = (error: unknown): void =>
  screen(
    'The node in this tab did not start.',
    said(error),
    h('p', {
      class: 'dim',
      text: 'Nothing is lost: what this browser holds of your agents is untouched. Close other tabs of this page and try again.',
    }),
    h('button', { class: 'button primary', text: 'Try again', attr: { type: 'button' }, on: { click: () => location.reload() } }),
  )
