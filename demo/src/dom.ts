/**
 * A thin helper over the DOM. Views make their elements once and update them in place, so that focus,
 * scroll position and a drag survive every change.
 *
 * @module
 */

export type Child = Element | string | number | false | null | undefined

export interface Props {
  readonly class?: string
  readonly text?: string
  /** Attributes; `true` is an empty one, `false` and `undefined` leave it out. */
  readonly attr?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly on?: Readonly<Record<string, (event: never) => void>>
  /** `data-testid`. */
  readonly id?: string
}

/** Something on the page that shows a value. */
export interface Piece<T> {
  readonly el: HTMLElement
  update(value: T): void
  /** Ends listeners and loops that would outlive the element. */
  dispose?(): void
}

const SVG = 'http://www.w3.org/2000/svg'

const fill = <E extends Element>(el: E, props: Props, children: readonly Child[]): E => {
  if (props.class !== undefined) el.setAttribute('class', props.class)
  if (props.id !== undefined) el.setAttribute('data-testid', props.id)
  if (props.text !== undefined) el.textContent = props.text
  for (const [name, value] of Object.entries(props.attr ?? {})) {
    if (value === true) el.setAttribute(name, '')
    else if (value !== false && value !== undefined) el.setAttribute(name, String(value))
  }
  for (const [name, listener] of Object.entries(props.on ?? {})) el.addEventListener(name, listener as EventListener)
  for (const child of children) {
    if (child === false || child === null || child === undefined) continue
    el.append(child instanceof Element ? child : String(child))
  }
  return el
}

/** Makes an HTML element. Text is text: nothing is ever parsed. */
export const h = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] => fill(document.createElement(tag), props, children)

/** Makes an SVG element. */
export const s = (tag: string, attr: Record<string, string | number> = {}, ...children: Child[]): SVGElement =>
  fill(document.createElementNS(SVG, tag) as SVGElement, { attr }, children)

/** Sets text only if it differs, so that a selection in unchanged text stays. */
export const setText = (el: Element, text: string): void => {
  if (el.textContent !== text) el.textContent = text
}

export const setAttr = (el: Element, name: string, value: string | boolean | undefined): void => {
  if (value === undefined || value === false) {
    if (el.hasAttribute(name)) el.removeAttribute(name)
  } else {
    const text = value === true ? '' : value
    if (el.getAttribute(name) !== text) el.setAttribute(name, text)
  }
}

export const show = (el: HTMLElement, visible: boolean): void => {
  if (el.hidden === visible) el.hidden = !visible
}

/** Puts `wanted` into `parent` in this order, touching only what is out of place. */
export const arrange = (parent: Element, wanted: readonly Element[]): void => {
  const keep = new Set(wanted)
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove()
  let at: Element | null = parent.firstElementChild
  for (const el of wanted) {
    if (el === at) at = at.nextElementSibling
    else parent.insertBefore(el, at)
  }
}

/** A list whose pieces live as long as their keys. */
export const keyed = <T>(parent: HTMLElement, key: (item: T) => string, make: (item: T) => Piece<T>) => {
  const pieces = new Map<string, Piece<T>>()
  return (items: readonly T[]): void => {
    const wanted: Element[] = []
    const seen = new Set<string>()
    for (const item of items) {
      const k = key(item)
      if (seen.has(k)) continue
      seen.add(k)
      let piece = pieces.get(k)
      if (!piece) {
        piece = make(item)
        pieces.set(k, piece)
      }
      piece.update(item)
      wanted.push(piece.el)
    }
    for (const [k, piece] of pieces) {
      if (seen.has(k)) continue
      piece.dispose?.()
      pieces.delete(k)
    }
    arrange(parent, wanted)
  }
}

export const reducedMotion = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches
