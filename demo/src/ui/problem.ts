/**
 * Something that went wrong, shown where it happened, in words, with what can be done.
 *
 * @module
 */
import { h, type Piece, setText, show } from '../dom.ts'
import type { Problem } from '../state.ts'
import { icon } from './icons.ts'

export const problemBox = (dismiss: () => void): Piece<Problem | undefined> => {
  const title = h('strong')
  const text = h('p')
  let shown: Problem | undefined
  const again = h('button', {
    class: 'button small',
    text: 'Try again',
    attr: { type: 'button' },
    on: {
      click: () => {
        const run = shown?.again
        dismiss()
        run?.()
      },
    },
  })
  const el = h(
    'div',
    { class: 'problem', id: 'problem' },
    icon('warn'),
    h(
      'div',
      { class: 'problem-words' },
      title,
      text,
      h(
        'div',
        { class: 'row' },
        again,
        h('button', { class: 'button small quiet', text: 'Dismiss', attr: { type: 'button' }, on: { click: dismiss } }),
      ),
    ),
  )
  el.hidden = true
  return {
    el,
    update(problem) {
      show(el, problem !== undefined)
      if (problem === shown) return
      shown = problem
      if (!problem) return
      setText(title, problem.title)
      setText(text, problem.text)
      if (problem.code === undefined) delete el.dataset.code
      else el.dataset.code = problem.code
      show(again, problem.again !== undefined)
    },
  }
}
