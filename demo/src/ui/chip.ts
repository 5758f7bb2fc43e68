/**
 * The state of an agent: a word, a shape and a colour, never the colour alone.
 *
 * @module
 */
import { h, type Piece } from '../dom.ts'
import { type Shown, STATES } from '../words.ts'
import { icon, STATE_ICONS } from './icons.ts'

/** Takes a state, and whether it is only the last that was heard. */
export const stateChip = (): Piece<{ readonly state: Shown; readonly past?: boolean }> => {
  const el = h('span', { class: 'chip', id: 'state' })
  let shown = ''
  return {
    el,
    update({ state, past = false }) {
      const next = `${state} ${past}`
      if (next === shown) return
      shown = next
      el.dataset.state = state
      el.title = STATES[state].meaning
      el.replaceChildren(
        icon(STATE_ICONS[state]),
        past && state !== 'moved' && state !== 'retired' ? `was ${STATES[state].word}` : STATES[state].word,
      )
    },
  }
}
