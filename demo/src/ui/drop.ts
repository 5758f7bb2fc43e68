/**
 * Files dropped anywhere on the page.
 *
 * @module
 */
import { h, show } from '../dom.ts'
import { icon } from './icons.ts'

const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') === true

/** @param take what to do with the files */
export const enableDrop = (take: (files: File[]) => void): HTMLElement => {
  const el = h(
    'div',
    { class: 'drop-veil', id: 'drop-veil', attr: { 'aria-hidden': 'true' } },
    h(
      'div',
      {},
      icon('drop'),
      h('strong', { text: 'Drop it: it starts in this tab' }),
      h('span', { text: 'A .wasm module (with its .json and init file), or an agent’s .car' }),
    ),
  )
  el.hidden = true
  let depth = 0
  const rest = (): void => {
    depth = 0
    show(el, false)
  }
  addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return
    event.preventDefault()
    depth++
    show(el, document.querySelector('dialog[open]') === null)
  })
  addEventListener('dragover', (event) => {
    if (hasFiles(event)) event.preventDefault()
  })
  addEventListener('dragleave', (event) => {
    if (!hasFiles(event)) return
    depth--
    if (depth <= 0) rest()
  })
  addEventListener('drop', (event) => {
    rest()
    if (!hasFiles(event)) return
    event.preventDefault()
    take([...(event.dataTransfer?.files ?? [])])
  })
  return el
}
