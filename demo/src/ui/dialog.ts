/**
 * Modal questions, on the browser's own dialog: Esc closes, focus stays inside and goes back after.
 *
 * @module
 */
import { type Child, h } from '../dom.ts'
import { icon } from './icons.ts'

export interface Dialog {
  readonly el: HTMLDialogElement
  close(): void
}

/** @param id `data-testid` */
export const openDialog = (title: string, id: string, ...children: Child[]): Dialog => {
  const heading = h('h2', { text: title, attr: { id: `dialog-${id}` } })
  const close = (): void => el.close()
  const el = h(
    'dialog',
    {
      class: 'dialog',
      id,
      attr: { 'aria-labelledby': `dialog-${id}` },
      on: {
        close: () => el.remove(),
        click: (event: MouseEvent) => {
          if (event.target === el) close()
        },
      },
    },
    h(
      'div',
      { class: 'dialog-inner' },
      h(
        'header',
        { class: 'dialog-head' },
        heading,
        h(
          'button',
          { class: 'icon-button', attr: { type: 'button', 'aria-label': 'Close' }, on: { click: close } },
          icon('close'),
        ),
      ),
      ...children,
    ),
  )
  document.body.append(el)
  el.showModal()
  return { el, close }
}

export interface Question {
  readonly title: string
  readonly text: string
  readonly yes: string
  readonly danger?: boolean
}

/** Asks; true if the person said yes. */
export const confirm = (question: Question): Promise<boolean> =>
  new Promise((resolve) => {
    let answer = false
    const dialog = openDialog(
      question.title,
      'confirm',
      h('p', { text: question.text }),
      h(
        'div',
        { class: 'dialog-actions' },
        h('button', {
          class: 'button',
          text: 'Cancel',
          attr: { type: 'button', autofocus: true },
          on: { click: () => dialog.close() },
        }),
        h('button', {
          class: question.danger === true ? 'button danger' : 'button primary',
          id: 'confirm-yes',
          text: question.yes,
          attr: { type: 'button' },
          on: {
            click: () => {
              answer = true
              dialog.close()
            },
          },
        }),
      ),
    )
    dialog.el.addEventListener('close', () => resolve(answer))
  })
