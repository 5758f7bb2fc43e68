/**
 * Small drawings, 20 by 20, in the colour of the text around them. Decoration: words stand beside each.
 *
 * @module
 */

import { s } from '../dom.ts'
import type { Shown } from '../words.ts'

const STROKES = {
  tab: 'M3 5.5h14v10H3z M3 8.5h14',
  server: 'M4 3.5h12v5H4z M4 11.5h12v5H4z M7 6h.01 M7 14h.01',
  unknown: 'M7.5 7.5a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.8 M10 14.5h.01',
  move: 'M3 10h12 M11 5.5 15.5 10 11 14.5',
  close: 'M5 5l10 10 M15 5 5 15',
  pause: 'M7 5v10 M13 5v10',
  play: 'M7 4.5v11l8.5-5.5z',
  save: 'M10 3v9 M6.5 8.5 10 12l3.5-3.5 M4 15.5h12',
  file: 'M5 3h6.5L15 6.5V17H5z M11.5 3v3.5H15',
  end: 'M5 10h10',
  copy: 'M7 7h9v9H7z M4 13V4h9',
  key: 'M6.5 6.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7z M10 10h7.5v3 M14 10v2.5',
  check: 'M4.5 10.5 8.5 14.5 15.5 6',
  warn: 'M10 3.5 17.5 16.5h-15z M10 8v4 M10 14.3h.01',
  info: 'M10 9.3v5 M10 6h.01 M10 2.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15z',
  plus: 'M10 4v12 M4 10h12',
  out: 'M8 4H4v12h12v-4 M11 4h5v5 M16 4l-7 7',
  up: 'M5 12l5-5 5 5',
  down: 'M5 8l5 5 5-5',
  again: 'M15.5 10a5.5 5.5 0 1 1-1.6-3.9 M15.5 3.5v3.2h-3.2',
  send: 'M3.5 10 16.5 4l-4 12.5-3-5z M9.5 11.5l3-3',
  drop: 'M10 3v8 M6.5 7.5 10 11l3.5-3.5 M3.5 12v4.5h13V12',
  halted: 'M7 3h6l4 4v6l-4 4H7l-4-4V7z M10 7v3.5 M10 13.3h.01',
  exhausted: 'M3 7h12v6H3z M17 9v2 M5.5 9v2',
  moved: 'M8 4.5H4.5v11H8 M8.5 10H16 M13 7l3 3-3 3',
  retired: 'M10 3.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13z M6 14 14 6',
} as const

export type IconName = keyof typeof STROKES | 'active'

export const icon = (name: IconName, className = 'icon'): SVGElement => {
  const svg = s('svg', { viewBox: '0 0 20 20', class: className, 'aria-hidden': 'true', focusable: 'false' })
  if (name === 'active') svg.append(s('circle', { cx: 10, cy: 10, r: 5, fill: 'currentColor' }))
  else svg.append(s('path', { d: STROKES[name], fill: 'none', stroke: 'currentColor' }))
  return svg
}

export const STATE_ICONS: Readonly<Record<Shown, IconName>> = {
  active: 'active',
  moving: 'move',
  halted: 'halted',
  waiting: 'pause',
  faulted: 'warn',
  exhausted: 'exhausted',
  paused: 'pause',
  moved: 'moved',
  retired: 'retired',
}

/** One to three bars; none filled while the round trip is not known. */
export const signal = (): { readonly el: SVGElement; update(filled: number): void } => {
  const rects = [0, 1, 2].map((i) => s('rect', { x: 3 + i * 5, y: 12 - i * 4, width: 3.4, height: 5 + i * 4, rx: 1 }))
  const el = s('svg', { viewBox: '0 0 20 20', class: 'icon signal', 'aria-hidden': 'true' }, ...rects)
  return {
    el,
    update(filled) {
      for (const [i, rect] of rects.entries()) rect.setAttribute('class', i < filled ? 'on' : 'off')
    },
  }
}
