import { writeFileSync } from 'node:fs'
import { test } from './fixtures/test.ts'

test('profile', async ({ server, tab }) => {
  test.setTimeout(200_000)
  const relay = await server('relay')
  const [a, b] = await Promise.all([tab(relay.url), tab(relay.url)])
  await Promise.all([a.reaches(b.peerId, 'webrtc'), b.reaches(a.peerId, 'webrtc')])
  const agent = await a.start('ballast')
  await a.open(agent)
  await a.ticks(agent, 3)
  const profs = await Promise.all(
    [a, b].map(async ({ page }) => {
      const cdp = await page.context().newCDPSession(page)
      await cdp.send('Profiler.enable')
      await cdp.send('Profiler.setSamplingInterval', { interval: 1000 })
      await cdp.send('Profiler.start')
      return cdp
    }),
  )
  const t0 = Date.now()
  await a.drag(agent, b.peerId)
  let last = ''
  for (let i = 0; i < 1500; i++) {
    const s = await a
      .card(agent)
      .evaluate((el) => {
        const p = el.querySelector('[data-testid=progress]') as HTMLElement
        return `${p.hidden ? '-' : p.dataset.phase} ${[...p.querySelectorAll('li')].map((l) => (l as HTMLElement).style.getPropertyValue('--part').slice(0, 3)).join(',')} ${el.getAttribute('data-state')} ${(el.querySelector('[data-testid=move-line]') as HTMLElement).textContent}`
      })
      .catch(() => 'gone')
    if (s !== last) console.log(Date.now() - t0, s)
    last = s
    if (s.includes('→')) break
    await a.page.waitForTimeout(50)
  }
  for (const [i, cdp] of profs.entries()) {
    const { profile } = await cdp.send('Profiler.stop')
    writeFileSync(`/tmp/e2e/prof${i}.json`, JSON.stringify(profile))
  }
})
