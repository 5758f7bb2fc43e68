/**
 * An agent as a small living thing: its shape, colour and face come from its DID, so that a person
 * knows it again on any island. Its eyes show its state.
 *
 * @module
 */
import { reducedMotion, s } from '../dom.ts'

const BODIES = [
  'M32 9C47 9 56 21 56 37 56 51 47 58 32 58 17 58 8 51 8 37 8 21 17 9 32 9Z',
  'M32 7C43 7 49 20 54 38 58 52 50 58 32 58 14 58 6 52 10 38 15 20 21 7 32 7Z',
  'M22 11H42C52 11 57 17 57 27V43C57 53 52 58 42 58H22C12 58 7 53 7 43V27C7 17 12 11 22 11Z',
  'M10 35C10 19 19 9 32 9 45 9 54 19 54 35V53C54 59 47 60 44 55 42 59 35 60 32 55 29 60 22 59 20 55 17 60 10 59 10 53Z',
  'M32 10C40 10 44 15 50 19 58 25 59 40 53 49 47 58 40 58 32 58 24 58 17 58 11 49 5 40 6 25 14 19 20 15 24 10 32 10Z',
  'M33 8C48 6 60 22 57 40 55 54 44 59 31 58 18 58 7 52 7 39 7 28 14 25 18 19 22 13 25 9 33 8Z',
] as const

/** What grows on top; drawn behind the body. */
const TOPS = [
  [],
  ['M32 12V4', 'M32 1.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5Z'],
  ['M17 22C11 14 12 6 16 5 21 5 25 10 26 16Z', 'M47 22C53 14 52 6 48 5 43 5 39 10 38 16Z'],
  ['M31 14C30 6 35 2 43 3 43 10 39 14 33 14Z'],
  ['M24 14C21 9 21 6 23 4', 'M40 14C43 9 43 6 41 4'],
  ['M26 13 28 5 32 10 36 5 38 13Z'],
] as const

const MOUTHS = ['M28 46Q32 50 36 46', 'M29 46H35', 'M30 45.5a2 2.2 0 1 0 4 0 2 2.2 0 1 0-4 0', 'M27 45Q32 52 37 45Z'] as const

/** Hues that differ to the eye, none that says good or bad by itself. */
const HUES = [12, 42, 68, 95, 128, 158, 186, 215, 245, 275, 305, 338] as const

/** FNV-1a: the same creature in every browser, for ever. */
const hash = (text: string, salt: number): number => {
  let h = (0x811c9dc5 ^ salt) >>> 0
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0
  h ^= h >>> 15
  return Math.imul(h, 0x2c1b3c6d) >>> 0
}

const pick = <T>(list: readonly T[], id: string, salt: number): T => list[hash(id, salt) % list.length] as T

/** A heartbeat that is quicker than this would only flicker. */
const PULSE_MS = 400

export interface Creature {
  readonly el: SVGElement
  /** Shows a tick. */
  pulse(): void
}

export const creature = (id: string): Creature => {
  const gap = 8.5 + (hash(id, 5) % 5)
  const y = 31 + (hash(id, 6) % 6)
  const r = 3.6 + (hash(id, 7) % 3) * 0.5
  const eyes = [32 - gap, 32 + gap]
  const body = s(
    'g',
    { class: 'c-body' },
    ...pick(TOPS, id, 2).map((d) => s('path', { d, class: 'c-top' })),
    s('path', { d: pick(BODIES, id, 1), class: 'c-skin' }),
    s('path', { d: 'M14 50C20 56 44 56 50 50 46 60 18 60 14 50Z', class: 'c-belly' }),
    s(
      'g',
      { class: 'c-open' },
      ...eyes.map((x) => s('circle', { cx: x, cy: y, r, class: 'c-eye' })),
      ...eyes.map((x) => s('circle', { cx: x + 1.1, cy: y - 1.2, r: 1.25, class: 'c-glint' })),
    ),
    s('path', { class: 'c-line c-closed', d: eyes.map((x) => `M${x - 4} ${y}Q${x} ${y + 4} ${x + 4} ${y}`).join('') }),
    s('path', { class: 'c-line c-flat', d: eyes.map((x) => `M${x - 4} ${y}H${x + 4}`).join('') }),
    s('path', {
      class: 'c-line c-cross',
      d: eyes.map((x) => `M${x - 3} ${y - 3}l6 6M${x + 3} ${y - 3}l-6 6`).join(''),
    }),
    s('path', { d: pick(MOUTHS, id, 4), class: 'c-line c-mouth' }),
  )
  const el = s('svg', { viewBox: '0 0 64 64', class: 'creature', 'aria-hidden': 'true', focusable: 'false' }, body)
  el.style.setProperty('--hue', String(pick(HUES, id, 3)))
  el.style.setProperty('--blink', `${-(hash(id, 8) % 6000)}ms`)
  let last = Number.NEGATIVE_INFINITY
  return {
    el,
    pulse() {
      const now = performance.now()
      if (now - last < PULSE_MS || reducedMotion()) return
      last = now
      body.animate(
        [{ transform: 'none' }, { transform: 'scale(1.045, .945)' }, { transform: 'scale(.98, 1.03)' }, { transform: 'none' }],
        {
          duration: 360,
          easing: 'ease-out',
        },
      )
    },
  }
}
