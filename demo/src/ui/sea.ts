/**
 * All islands, and the agents on them. Each agent has one card for as long as it is known; when the
 * agent moves, its card glides to the other island, and keeps focus.
 *
 * @module
 */
import type { AgentStatus } from '../api.ts'
import { type Archipelago, archipelago, type Island } from '../archipelago.ts'
import { h, keyed, type Piece, reducedMotion, setText, show } from '../dom.ts'
import { kindOf, nameOfPeer } from '../names.ts'
import type { App } from '../state.ts'
import { plural } from '../words.ts'
import { agentCard } from './card.ts'
import { invitation } from './invite.ts'
import { islandPiece } from './island.ts'

const GLIDE_MS = 420

export interface Sea {
  readonly el: HTMLElement
  readonly map: () => Archipelago
  update(): void
  cardOf(agent: string): HTMLElement | undefined
  islandOf(peer: string): HTMLElement | undefined
  /** Agents whose cards are on the screen. */
  visible(): string[]
}

export const sea = (app: App): Sea => {
  let map: Archipelago = { islands: [], retired: [] }
  const cards = new Map<string, Piece<AgentStatus>>()
  const islandEls = new Map<string, HTMLElement>()
  const inView = new Set<string>()
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const id = (target as HTMLElement).dataset.agent ?? ''
        if (isIntersecting) inView.add(id)
        else inView.delete(id)
      }
    },
    { rootMargin: '100px' },
  )

  const cardOf = (status: AgentStatus): HTMLElement => {
    let card = cards.get(status.agent)
    if (!card) {
      card = agentCard(app, status.agent, () => map)
      card.el.setAttribute('role', 'listitem')
      cards.set(status.agent, card)
      observer.observe(card.el)
      if (!reducedMotion()) {
        card.el.animate(
          [
            { opacity: 0, transform: 'scale(.92)' },
            { opacity: 1, transform: 'none' },
          ],
          { duration: 260, easing: 'ease-out' },
        )
      }
    }
    return card.el
  }

  const islands = h('div', { class: 'islands' })
  const retiredList = h('div', { class: 'agents', attr: { role: 'list' } })
  const retiredTitle = h('summary')
  const retired = h('details', { class: 'retired', id: 'retired' }, retiredTitle, retiredList)
  const invite = invitation(app)
  const list = h('div', { class: 'islands-and-invite' }, islands, invite.el)
  const el = h('section', { class: 'sea', attr: { 'aria-label': 'Islands' } }, list, retired)

  const reconcile = keyed<Island>(
    islands,
    (island) => island.peer,
    (island) => {
      const piece = islandPiece(app, island.peer, cardOf)
      islandEls.set(island.peer, piece.el)
      return { ...piece, dispose: () => islandEls.delete(island.peer) }
    },
  )
  const reconcileRetired = keyed<AgentStatus>(
    retiredList,
    (status) => status.agent,
    (status) => ({ el: cardOf(status), update: () => {} }),
  )

  const homes = new Map<string, string>()

  return {
    el,
    map: () => map,
    cardOf: (agent) => cards.get(agent)?.el,
    islandOf: (peer) => islandEls.get(peer),
    visible: () => [...inView],
    update() {
      const { state, node } = app
      map = archipelago({
        self: node.id,
        selfName: node.name,
        agents: state.agents,
        peers: state.peers,
        home: state.site?.peerId,
        nameOf: (peer) => nameOfPeer(node, peer),
        kindOf,
        now: Date.now(),
      })
      const focused = document.activeElement
      const travellers = state.agents.filter((status) => {
        const before = homes.get(status.agent)
        return before !== undefined && before !== status.host && cards.has(status.agent)
      })
      const places = travellers.map((status) => cards.get(status.agent)?.el.getBoundingClientRect())
      reconcileRetired(map.retired)
      reconcile(map.islands)
      for (const status of state.agents) {
        homes.set(status.agent, status.host)
        cards.get(status.agent)?.update(status)
      }
      show(retired, map.retired.length > 0)
      setText(retiredTitle, plural(map.retired.length, 'retired agent'))
      const known = new Set(state.agents.map((status) => status.agent))
      for (const [id, card] of cards) {
        if (known.has(id)) continue
        observer.unobserve(card.el)
        card.el.remove()
        cards.delete(id)
        homes.delete(id)
        inView.delete(id)
      }
      if (
        focused instanceof HTMLElement &&
        focused !== document.activeElement &&
        focused.isConnected &&
        focused.closest('.agent')
      ) {
        focused.focus({ preventScroll: true })
      }
      for (const [i, status] of travellers.entries()) glide(cards.get(status.agent)?.el, places[i])
      reveal(app, cards)
      invite.update(map.islands.some((island) => island.kind === 'tab' && island.link !== 'none'))
    },
  }
}

/** Whoever started an agent from the far end of the page sees it come alive. */
const reveal = (app: App, cards: ReadonlyMap<string, Piece<AgentStatus>>): void => {
  const el = cards.get(app.state.reveal ?? '')?.el
  if (!el?.isConnected) return
  app.state.reveal = undefined
  el.scrollIntoView({ block: 'nearest', behavior: reducedMotion() ? 'auto' : 'smooth' })
  if (reducedMotion()) return
  const ring = getComputedStyle(el).getPropertyValue('--accent')
  el.animate(
    [
      { boxShadow: `inset 0 0 0 3px ${ring}` },
      { boxShadow: `inset 0 0 0 3px ${ring}`, offset: 0.6 },
      { boxShadow: 'inset 0 0 0 3px transparent' },
    ],
    {
      duration: 1800,
    },
  )
}

const glide = (el: HTMLElement | undefined, from: DOMRect | undefined): void => {
  if (!el || !from || reducedMotion() || document.hidden) return
  const to = el.getBoundingClientRect()
  const x = from.left - to.left
  const y = from.top - to.top
  if (x === 0 && y === 0) return
  el.animate(
    [
      { transform: `translate(${x}px, ${y}px)`, zIndex: 5 },
      { transform: 'none', zIndex: 5 },
    ],
    {
      duration: GLIDE_MS,
      easing: 'cubic-bezier(.2, .8, .2, 1)',
    },
  )
}
