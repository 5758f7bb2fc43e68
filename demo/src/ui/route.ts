/**
 * A move on its way: a line from island to island, and the agent's light travelling along it.
 *
 * @module
 */
import { s } from '../dom.ts'
import type { App } from '../state.ts'
import { fraction } from './journey.ts'
import type { Sea } from './sea.ts'

const FADE_MS = 900

interface Trail {
  readonly el: SVGElement
  readonly line: SVGPathElement
  readonly done: SVGPathElement
  readonly light: SVGElement
  ended: boolean
}

const middle = (el: Element, base: DOMRect): { x: number; y: number } => {
  const at = el.getBoundingClientRect()
  return { x: at.left + at.width / 2 - base.left, y: at.top + Math.min(at.height / 2, 60) - base.top }
}

const curve = (a: { x: number; y: number }, b: { x: number; y: number }): string => {
  const bend = Math.min(90, Math.hypot(b.x - a.x, b.y - a.y) * 0.22)
  return `M${a.x} ${a.y}Q${(a.x + b.x) / 2} ${(a.y + b.y) / 2 - bend} ${b.x} ${b.y}`
}

const arrow = (x1: number, y1: number, x2: number, y2: number): string => {
  const along = x2 > x1
  const head = along
    ? `M${x2 - 7} ${y2 - 7}L${x2} ${y2}L${x2 - 7} ${y2 + 7}`
    : `M${x2 - 7} ${y2 - 7}L${x2} ${y2}L${x2 + 7} ${y2 - 7}`
  return `M${x1} ${y1}L${x2} ${y2}${head}`
}

/** @returns the overlay, and what to call at each render */
export const routes = (app: App, sea: Sea): { readonly el: SVGElement; update(): void } => {
  const el = s('svg', { class: 'routes', 'aria-hidden': 'true' })
  const trails = new Map<string, Trail>()

  const make = (): Trail => {
    const line = s('path', { class: 'route-line' }) as SVGPathElement
    const done = s('path', { class: 'route-done' }) as SVGPathElement
    const light = s('circle', { class: 'route-light', r: 7 })
    const group = s('g', {}, line, done, light)
    el.append(group)
    return { el: group, line, done, light, ended: false }
  }

  const hint = s('path', { class: 'route-hint' })
  el.append(hint)
  let hinted = ''

  /** Shows the way of the first move, until there was one: a short arrow from shore to shore. */
  const suggest = (base: DOMRect): void => {
    const { state } = app
    const { islands } = sea.map()
    const server = islands.find((island) => island.kind === 'server' && island.link !== 'none')
    const wanted =
      !state.introGone && state.moves.size === 0 && state.runs.size === 0 && !server?.agents.some((agent) => agent.owned)
    const who = wanted ? islands[0]?.agents.find((agent) => agent.owned && agent.state === 'active') : undefined
    const from = who && sea.islandOf(who.host)?.getBoundingClientRect()
    const to = server && sea.islandOf(server.peer)?.getBoundingClientRect()
    let d = ''
    if (from && to && to.left >= from.right) {
      const y = Math.min(to.bottom, from.bottom) - Math.min(90, to.height / 2) - base.top
      d = arrow(from.right - base.left + 6, y, to.left - base.left - 8, y)
    } else if (from && to && to.top >= from.bottom) {
      const x = from.left + from.width / 2 - base.left
      d = arrow(x, from.bottom - base.top + 4, x, to.top - base.top - 6)
    }
    if (d === hinted) return
    hinted = d
    hint.setAttribute('d', d)
  }

  return {
    el,
    update() {
      const base = el.getBoundingClientRect()
      suggest(base)
      for (const [id, run] of app.state.runs) {
        const from =
          sea.islandOf(run.from)?.querySelector(`[data-agent="${CSS.escape(id)}"] .agent-being`) ?? sea.islandOf(run.from)
        const to = sea.islandOf(run.to)?.querySelector('.island-icon')
        if (!from || !to) continue
        let trail = trails.get(id)
        if (!trail || trail.ended) {
          trail?.el.remove()
          trail = make()
          trails.set(id, trail)
        }
        const d = curve(middle(from, base), middle(to, base))
        trail.line.setAttribute('d', d)
        trail.done.setAttribute('d', d)
        const length = trail.line.getTotalLength()
        const way = fraction(app.state.live.get(id)?.progress)
        trail.done.setAttribute('stroke-dasharray', `${length * way} ${length}`)
        const point = trail.line.getPointAtLength(length * way)
        trail.light.setAttribute('cx', String(point.x))
        trail.light.setAttribute('cy', String(point.y))
      }
      for (const [id, trail] of trails) {
        if (trail.ended || app.state.runs.has(id)) continue
        trail.ended = true
        trail.light.remove()
        const fade = trail.el.animate([{ opacity: 1 }, { opacity: 0 }], { duration: FADE_MS, fill: 'forwards' })
        fade.onfinish = () => {
          trail.el.remove()
          if (trails.get(id) === trail) trails.delete(id)
        }
      }
    },
  }
}
