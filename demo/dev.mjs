// Serves the page on a node that is made up, for work on its looks: `node demo/dev.mjs [port]`, then /?scene=three
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildPage } from './build.mjs'
import { peerId } from './fake/ids.ts'

const here = dirname(fileURLToPath(import.meta.url))
const port = Number(process.argv[2] ?? 8484)
const outdir = join(tmpdir(), `igor-demo-${port}`)

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
}
const CSP =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss: https:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const fake = {
  name: 'fake-node',
  setup(build) {
    // The threads of a node that is made up have nothing to run.
    build.onResolve({ filter: /browser\/src\/(clock-)?worker\.ts$/ }, () => ({ path: 'nothing', namespace: 'fake' }))
    build.onLoad({ filter: /.*/, namespace: 'fake' }, () => ({ contents: '' }))
    build.onResolve({ filter: /\/node\.ts$/ }, ({ importer }) =>
      importer.endsWith('src/main.ts') ? { path: join(here, 'fake/node.ts') } : undefined,
    )
  },
}

const rebuild = () => buildPage({ outdir, minify: false, plugins: [fake] })
await rebuild()
createServer(async (request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost')
  try {
    if (pathname === '/') await rebuild()
    if (pathname === '/node.json') {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ peerId: peerId('granite-heron'), name: 'granite-heron', multiaddrs: [], iceServers: [] }))
      return
    }
    const file = normalize(join(outdir, pathname === '/' ? 'index.html' : pathname))
    if (!file.startsWith(outdir)) throw new Error('outside')
    const contents = await readFile(file)
    response.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': CSP,
      'cache-control': 'no-store',
    })
    response.end(contents)
  } catch (error) {
    response.writeHead(error.code === 'ENOENT' ? 404 : 500).end(String(error.message))
  }
}).listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}/?scene=three`))
