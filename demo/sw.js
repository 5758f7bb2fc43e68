// Caches the page's shell, and nothing else, so that a reload works with the server dead. BUILD and SHELL are put in by
// build.mjs: a new build is a new file, which the browser notices by itself.
const BUILD = '__BUILD__'
const SHELL = '__SHELL__'
const NAME = `igor-${BUILD}`
/** A server that hangs counts as dead after this many ms. */
const PATIENCE = 2500

const shell = new Set(SHELL)

self.addEventListener('install', (event) => {
  const fill = async () => {
    const cache = await caches.open(NAME)
    // Past the HTTP cache: what is kept must be of one build.
    await cache.addAll(SHELL.map((path) => new Request(path, { cache: 'reload' })))
    await self.skipWaiting()
  }
  event.waitUntil(fill())
})

self.addEventListener('activate', (event) => {
  const tidy = async () => {
    const names = (await caches.keys()).filter((name) => name.startsWith('igor-'))
    // A page of the build before is still open: the parts that it loads later must be found.
    const old = names.filter((name) => name !== NAME).slice(0, -1)
    await Promise.all(old.map((name) => caches.delete(name)))
    await self.clients.claim()
    for (const client of await self.clients.matchAll()) client.postMessage({ build: BUILD })
  }
  event.waitUntil(tidy())
})

const fromServer = async (request) => {
  const response = await fetch(request, { signal: AbortSignal.timeout(PATIENCE) })
  // A proxy in front of a dead server answers too.
  if (response.status >= 500) throw new Error(`the server answered ${response.status}`)
  return response
}

const fresh = async (request, key) => {
  try {
    return await fromServer(request)
  } catch (error) {
    const kept = await (await caches.open(NAME)).match(key, { ignoreVary: true })
    if (kept) return kept
    throw error
  }
}

const kept = async (request) => (await caches.match(request, { ignoreVary: true })) ?? fetch(request)

self.addEventListener('fetch', (event) => {
  const { request } = event
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== self.location.origin) return
  if (request.mode === 'navigate') {
    if (url.pathname === '/' || url.pathname === '/index.html') event.respondWith(fresh(request, '/'))
  } else if (url.pathname.startsWith('/app/')) {
    // Named after its build: never changes.
    event.respondWith(kept(request))
  } else if (shell.has(url.pathname)) event.respondWith(fresh(request, url.pathname))
})
