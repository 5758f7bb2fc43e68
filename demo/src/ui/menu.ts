/**
 * A small menu under a button: arrow keys, Home, End, Esc; closes by itself on a click elsewhere.
 *
 * @module
 */
import { h } from '../dom.ts'
import { type IconName, icon } from './icons.ts'

export interface MenuItem {
  readonly label: string
  readonly detail?: string
  readonly icon?: IconName
  /** Why it cannot be chosen now; it stays reachable, so that this can be read. */
  readonly not?: string
  readonly danger?: boolean
  /** Set as data attributes, for scripts. */
  readonly peer?: string
  readonly run: () => void
}

const place = (menu: HTMLElement, anchor: HTMLElement): void => {
  const at = anchor.getBoundingClientRect()
  const { width, height } = menu.getBoundingClientRect()
  const left = Math.max(8, Math.min(at.right - width, innerWidth - width - 8))
  const below = at.bottom + 6
  const top = below + height <= innerHeight - 8 ? below : Math.max(8, at.top - height - 6)
  menu.style.left = `${left}px`
  menu.style.top = `${top}px`
}

/** Opens a menu; focus returns to `anchor` when it closes. */
export const openMenu = (anchor: HTMLElement, label: string, items: readonly MenuItem[]): void => {
  const buttons = items.map((item) =>
    h(
      'button',
      {
        class: `menu-item${item.danger === true ? ' danger' : ''}`,
        id: 'menu-item',
        attr: {
          type: 'button',
          role: 'menuitem',
          tabindex: -1,
          'aria-disabled': item.not === undefined ? undefined : 'true',
          'data-peer': item.peer,
        },
        on: {
          click: () => {
            if (item.not !== undefined) return
            menu.hidePopover()
            item.run()
          },
        },
      },
      icon(item.icon ?? 'move'),
      h(
        'span',
        { class: 'menu-words' },
        h('bdi', { text: item.label }),
        (item.not ?? item.detail) !== undefined && h('small', { text: item.not ?? item.detail ?? '' }),
      ),
    ),
  )
  const menu = h(
    'div',
    {
      class: 'menu',
      id: 'menu',
      attr: { role: 'menu', 'aria-label': label, popover: 'auto' },
      on: {
        keydown: (event: KeyboardEvent) => {
          const at = buttons.indexOf(document.activeElement as HTMLButtonElement)
          const to =
            event.key === 'ArrowDown'
              ? (at + 1) % buttons.length
              : event.key === 'ArrowUp'
                ? (at - 1 + buttons.length) % buttons.length
                : event.key === 'Home'
                  ? 0
                  : event.key === 'End'
                    ? buttons.length - 1
                    : -1
          if (to >= 0) {
            event.preventDefault()
            buttons[to]?.focus()
          } else if (event.key === 'Tab') menu.hidePopover()
        },
        toggle: (event: ToggleEvent) => {
          if (event.newState !== 'closed') return
          anchor.setAttribute('aria-expanded', 'false')
          const inside = menu.contains(document.activeElement) || document.activeElement === document.body
          menu.remove()
          if (inside) anchor.focus({ preventScroll: true })
        },
      },
    },
    h('div', { class: 'menu-title', text: label, attr: { 'aria-hidden': 'true' } }),
    ...buttons,
  )
  // Inside an open dialog the menu must be too, or it cannot be clicked.
  ;(anchor.closest('dialog') ?? document.body).append(menu)
  menu.showPopover()
  place(menu, anchor)
  anchor.setAttribute('aria-expanded', 'true')
  ;(buttons.find((button) => !button.hasAttribute('aria-disabled')) ?? buttons[0])?.focus({ preventScroll: true })
}
