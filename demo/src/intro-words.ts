/**
 * What the first sentence says: by who is where, and who is in reach. It only promises what holds. Pure.
 *
 * @module
 */
import type { AgentStatus } from './api.ts'

export interface IntroWords {
  readonly over: string
  readonly title: string
  readonly text: string
}

export const introWords = (see: {
  readonly here: AgentStatus | undefined
  readonly onServer: AgentStatus | undefined
  /** On a tab that is in reach. */
  readonly elsewhere: AgentStatus | undefined
  readonly server: boolean
  readonly others: boolean
}): IntroWords => {
  if (see.onServer) {
    return {
      over: `${see.onServer.name} lives on the server now`,
      title: 'Close this tab. It goes on.',
      text: 'Open the page again whenever you like: the same agent, further on. Drag it back, or to any other island.',
    }
  }
  if (!see.here && see.elsewhere) {
    return {
      over: `${see.elsewhere.name} lives in another tab`,
      title: 'Drag it here, or anywhere. It goes on.',
      text: 'It is the same agent on every island: it leaves one after a tick, and goes on with the next tick on the other.',
    }
  }
  if (!see.here) {
    return {
      over: 'This tab is a node',
      title: 'Start an agent. It lives here.',
      text: 'An agent is a small program with a life of its own. It ticks, remembers, and moves between tabs and servers without losing a tick.',
    }
  }
  const over = `${see.here.name} is alive in this tab`
  if (see.server) {
    return {
      over,
      title: 'Drag it to the server. Close this tab. It goes on.',
      text:
        see.here.witness != null
          ? 'Left here, it goes on elsewhere too, seconds after this tab is closed: its witness, a server, sees to that.'
          : 'Left here, it sleeps in this browser while the tab is closed, and wakes at the next tick when you are back.',
    }
  }
  if (see.others) {
    return {
      over,
      title: 'Drag it to another tab. Close this one. It goes on.',
      text: 'Left here, it sleeps in this browser while the tab is closed, and wakes at the next tick when you are back.',
    }
  }
  return {
    over,
    title: 'Close this tab, come back: it goes on.',
    text: 'It is kept in this browser, tick by tick. Open the page in a second tab, and it can move there.',
  }
}
