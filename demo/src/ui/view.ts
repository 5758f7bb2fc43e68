/**
 * What an agent shows: text by textContent, frames by canvas, pixels kept crisp. Nothing an agent says is ever markup.
 *
 * @module
 */
import type { View } from '../api.ts'
import { h, setText, show } from '../dom.ts'
import { tidy } from '../words.ts'

/** A larger frame is not drawn: a page must stay smooth whatever agents show. */
const MAX_PIXELS = 1024 * 1024

export interface Surface {
  readonly el: HTMLElement
  readonly canvas: HTMLCanvasElement
  /** Draws only what is new. @returns false if there is nothing to show */
  update(view: View | undefined): boolean
}

const drawable = (view: View): boolean =>
  view.width >= 1 &&
  view.height >= 1 &&
  view.width * view.height <= MAX_PIXELS &&
  view.bytes.length === view.width * view.height * 4

const decoder = new TextDecoder()

/** @param limit characters of text shown */
export const surface = (limit: number): Surface => {
  const canvas = h('canvas', { class: 'frame', id: 'frame' })
  const text = h('pre', { class: 'shown', id: 'shown' })
  const el = h('div', { class: 'surface' }, text, canvas)
  canvas.hidden = true
  text.hidden = true
  let drawn: View | undefined
  return {
    el,
    canvas,
    update(view) {
      if (view === drawn) return view !== undefined
      drawn = view
      const frame = view?.kind === 'rgba' && drawable(view) ? view : undefined
      show(canvas, frame !== undefined)
      show(text, frame === undefined && view !== undefined)
      if (frame) {
        if (canvas.width !== frame.width) canvas.width = frame.width
        if (canvas.height !== frame.height) canvas.height = frame.height
        const context = canvas.getContext('2d')
        context?.putImageData(new ImageData(new Uint8ClampedArray(frame.bytes), frame.width, frame.height), 0, 0)
      } else if (view) {
        setText(
          text,
          view.kind === 'text'
            ? tidy(decoder.decode(view.bytes.subarray(0, limit * 4)), limit).trimEnd()
            : 'A picture that is too large to show.',
        )
      }
      return view !== undefined
    },
  }
}
