/**
 * The invitation: a second tab becomes a second island.
 *
 * @module
 */
import { copyText } from '../clipboard.ts'
import { h, type Piece, setText } from '../dom.ts'
import type { App } from '../state.ts'
import { icon } from './icons.ts'

/** @returns a piece that is told whether another tab is there already */
export const invitation = (app: App): Piece<boolean> => {
  const address = `${location.origin}/`
  const title = h('h2')
  const text = h('p')
  const copy = h(
    'button',
    {
      class: 'button quiet',
      id: 'copy-address',
      attr: { type: 'button' },
      on: { click: () => void copyText(app, 'the address', address, copy) },
    },
    icon('copy'),
    'Copy address',
  )
  const el = h(
    'section',
    { class: 'island invite', id: 'invite', attr: { 'aria-label': 'Invitation' } },
    h('span', { class: 'island-icon' }, icon('plus')),
    title,
    text,
    h(
      'div',
      { class: 'row' },
      h(
        'a',
        { class: 'button', id: 'open-second-tab', attr: { href: '/', target: '_blank', rel: 'noopener' } },
        icon('out'),
        'Open a second tab',
      ),
      copy,
    ),
  )
  return {
    el,
    update(hasOthers) {
      el.dataset.small = String(hasOthers)
      setText(title, hasOthers ? 'One more island' : 'Your second island')
      setText(
        text,
        hasOthers
          ? 'Every tab and every browser that opens this page is one.'
          : 'Open this page again, in another tab, window or browser. They find each other within seconds.',
      )
    },
  }
}
