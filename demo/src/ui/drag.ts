/**
 * Moving an agent by one gesture: take it, drop it on another island. By mouse from anywhere on its
 * card; by touch from the creature itself, so that the page still scrolls. Esc lets go.
 *
 * @module
 */
import { moveAgent } from '../actions.ts'
import { type Archipelago, mayMove, mayOrder } from '../archipelago.ts'
import { h, s, setText } from '../dom.ts'
import { type App, agentOf } from '../state.ts'
import { icon } from './icons.ts'

/** Less than that is a click with an unsteady hand. */
const THRESHOLD_PX = 6
const EDGE_PX = 64
const SCROLL_PX = 14

interface Grip {
  readonly id: string
  readonly pointer: number
  readonly x: number
  readonly y: number
  readonly card: HTMLElement
}

interface Drag {
  readonly ghost: HTMLElement
  readonly word: HTMLElement
  readonly dock: HTMLElement
  readonly line: SVGPathElement
  x: number
  y: number
  frame: number
  over: HTMLElement | undefined
}

export const enableDrag = (app: App, root: HTMLElement, map: () => Archipelago): void => {
  let grip: Grip | undefined
  let drag: Drag | undefined

  const verdictFor = (peer: string) => {
    const status = grip && agentOf(app.state, grip.id)
    const island = map().islands.find((candidate) => candidate.peer === peer)
    return status && island ? mayMove(status, island) : { ok: false as const, why: 'It is gone.' }
  }

  const markIslands = (): void => {
    for (const el of document.querySelectorAll<HTMLElement>('[data-peer].island, .dock [data-peer]')) {
      const verdict = verdictFor(el.dataset.peer ?? '')
      el.dataset.drop = verdict.ok ? 'yes' : 'no'
      const word = el.querySelector('.drop-word')
      if (word) setText(word, verdict.ok ? 'Drop it here' : verdict.why)
    }
  }

  /** Islands that are out of view are offered at the edge of the screen. */
  const dockFor = (status: { readonly host: string }): HTMLElement => {
    const away = map().islands.filter((island) => {
      if (island.peer === status.host || island.link === 'none') return false
      const at = document.querySelector(`.island[data-peer="${CSS.escape(island.peer)}"]`)?.getBoundingClientRect()
      return !at || at.top < 0 || Math.min(at.bottom, at.top + 120) > innerHeight
    })
    const dock = h(
      'div',
      { class: 'dock', id: 'dock', attr: { 'aria-hidden': 'true' } },
      ...away.map((island) =>
        h(
          'div',
          { class: 'dock-island', attr: { 'data-peer': island.peer } },
          icon(island.kind === 'server' ? 'server' : 'tab'),
          h('bdi', { text: island.kind === 'self' ? 'This tab' : island.name }),
        ),
      ),
    )
    dock.hidden = away.length === 0
    return dock
  }

  const begin = (at: PointerEvent): void => {
    if (!grip) return
    const status = agentOf(app.state, grip.id)
    const picture = grip.card.querySelector('.creature')?.cloneNode(true)
    if (!status || !(picture instanceof Element)) return
    const order = mayOrder(status)
    if (!order.ok) {
      app.state.problems.set(grip.id, { title: `You cannot move ${status.name}`, text: order.why })
      app.announce(`You cannot move ${status.name}. ${order.why}`, true)
      app.changed()
      end()
      return
    }
    const word = h('span', { class: 'ghost-word' })
    const ghost = h('div', { class: 'ghost', attr: { 'aria-hidden': 'true', 'data-state': status.state } }, picture, word)
    const line = s('path') as SVGPathElement
    const svg = s('svg', { class: 'tether', 'aria-hidden': 'true' }, line)
    const dock = dockFor(status)
    document.body.append(svg, dock, ghost)
    drag = { ghost, word, dock, line, x: at.clientX, y: at.clientY, frame: 0, over: undefined }
    grip.card.dataset.dragged = 'true'
    document.body.dataset.dragging = 'true'
    getSelection()?.removeAllRanges()
    markIslands()
    follow()
  }

  const follow = (): void => {
    if (!drag || !grip) return
    const { ghost, x, y, line } = drag
    ghost.style.transform = `translate(${x}px, ${y}px)`
    const from = grip.card.querySelector('.agent-being')?.getBoundingClientRect()
    if (from) {
      const fx = from.left + from.width / 2
      const fy = from.top + from.height / 2
      line.setAttribute('d', `M${fx} ${fy}Q${(fx + x) / 2} ${Math.min(fy, y) - Math.abs(x - fx) * 0.12} ${x} ${y}`)
    }
    const over = document.elementFromPoint(x, y)?.closest<HTMLElement>('[data-peer][data-drop]') ?? undefined
    if (over !== drag.over) {
      drag.over?.removeAttribute('data-over')
      over?.setAttribute('data-over', 'true')
      drag.over = over
      const peer = over?.dataset.peer ?? ''
      const verdict = over ? verdictFor(peer) : undefined
      const name = map().islands.find((island) => island.peer === peer)
      setText(
        drag.word,
        !verdict ? '' : verdict.ok ? `Move to ${name?.kind === 'self' ? 'this tab' : (name?.name ?? '')}` : verdict.why,
      )
      ghost.dataset.ok = verdict ? String(verdict.ok) : ''
    }
    // The word stays on the screen: above the creature at the lower edge, beside it at the sides.
    ghost.dataset.low = String(y > innerHeight - EDGE_PX - 40)
    const half = drag.word.offsetWidth / 2 + 8
    drag.word.style.left = `${Math.max(half, Math.min(innerWidth - half, x)) - x}px`
    const lift = drag.dock.hidden ? 0 : drag.dock.offsetHeight
    const dy = y < EDGE_PX ? -SCROLL_PX : y > innerHeight - EDGE_PX - lift && y < innerHeight - lift ? SCROLL_PX : 0
    if (dy !== 0) scrollBy(0, dy)
    drag.frame = requestAnimationFrame(follow)
  }

  const end = (): void => {
    if (drag) {
      cancelAnimationFrame(drag.frame)
      drag.ghost.remove()
      drag.dock.remove()
      drag.line.ownerSVGElement?.remove()
      for (const el of document.querySelectorAll('[data-drop]')) {
        el.removeAttribute('data-drop')
        el.removeAttribute('data-over')
      }
      delete document.body.dataset.dragging
    }
    if (grip) delete grip.card.dataset.dragged
    drag = undefined
    grip = undefined
    removeEventListener('pointermove', onMove)
    removeEventListener('pointerup', onUp)
    removeEventListener('pointercancel', end)
    removeEventListener('blur', end)
    removeEventListener('keydown', onKey, true)
  }

  const onMove = (event: PointerEvent): void => {
    if (!grip || event.pointerId !== grip.pointer) return
    if (drag) {
      drag.x = event.clientX
      drag.y = event.clientY
    } else if (Math.hypot(event.clientX - grip.x, event.clientY - grip.y) > THRESHOLD_PX) begin(event)
  }

  const onUp = (event: PointerEvent): void => {
    if (!grip || event.pointerId !== grip.pointer) return
    if (!drag) {
      end()
      return
    }
    // What follows is the click of a drag, not of a person who wants to open the card.
    const swallow = (click: MouseEvent): void => {
      click.stopPropagation()
      click.preventDefault()
    }
    addEventListener('click', swallow, { capture: true, once: true })
    setTimeout(() => removeEventListener('click', swallow, { capture: true }), 0)
    const target = document.elementFromPoint(event.clientX, event.clientY)?.closest<HTMLElement>('[data-peer][data-drop]')
    const peer = target?.dataset.peer
    const { id } = grip
    const verdict = peer === undefined ? undefined : verdictFor(peer)
    const home = agentOf(app.state, id)?.host
    end()
    if (peer === undefined || peer === home) return
    if (verdict?.ok) void moveAgent(app, id, peer)
    else if (verdict) {
      const status = agentOf(app.state, id)
      app.state.problems.set(id, { title: `${status?.name ?? 'It'} did not move`, text: verdict.why })
      app.announce(verdict.why, true)
      app.changed()
    }
  }

  const onKey = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape' || !drag) return
    event.preventDefault()
    event.stopPropagation()
    end()
  }

  root.addEventListener('pointerdown', (event) => {
    if (grip || event.button !== 0 || !event.isPrimary) return
    const target = event.target as Element
    const card = target.closest<HTMLElement>('.agent')
    if (!card || target.closest('.mover, .problem, .journey button, a, input')) return
    if (event.pointerType === 'touch' && !target.closest('.agent-being')) return
    const id = card.dataset.agent
    if (id === undefined) return
    grip = { id, pointer: event.pointerId, x: event.clientX, y: event.clientY, card }
    addEventListener('pointermove', onMove)
    addEventListener('pointerup', onUp)
    addEventListener('pointercancel', end)
    addEventListener('blur', end)
    addEventListener('keydown', onKey, true)
  })
  root.addEventListener('dragstart', (event) => {
    if ((event.target as Element).closest('.agent')) event.preventDefault()
  })
}
