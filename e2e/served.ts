/**
 * A page for a test: modules of the workspace, bundled and served under the policy that `igor up` sets.
 *
 * @module
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build } from 'esbuild'

/** Design section 10. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' ws: wss: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export interface Served {
  /** Ends in a slash; `localhost`, so that the page is a secure context. */
  readonly url: string
  close(): Promise<void>
}

/**
 * @param main source of the page's module, written as if it stood in this folder
 * @param workers entry of each worker, relative to this folder, by the path under which it is served
 */
export async function servePage(main: string, workers: Readonly<Record<string, string>> = {}): Promise<Served> {
  const resolveDir = fileURLToPath(new URL('.', import.meta.url))
  const options = {
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2023',
    conditions: ['source', 'browser'],
  } satisfies BuildOptions
  const files = new Map<string, string>()
  const page = await build({ ...options, stdin: { contents: main, resolveDir, loader: 'ts' } })
  files.set('/main.js', page.outputFiles[0]?.text ?? '')
  for (const [path, entry] of Object.entries(workers)) {
    const worker = await build({ ...options, entryPoints: [entry], absWorkingDir: resolveDir })
    files.set(path, worker.outputFiles[0]?.text ?? '')
  }

  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    const script = files.get(path)
    response.setHeader('content-security-policy', POLICY)
    if (path === '/' || path === '/elsewhere') {
      response.setHeader('content-type', 'text/html; charset=utf-8')
      response.end(`<!doctype html><title>Igor</title>${path === '/' ? '<script type="module" src="/main.js"></script>' : ''}`)
    } else if (script !== undefined) {
      response.setHeader('content-type', 'text/javascript; charset=utf-8')
      response.end(script)
    } else {
      response.statusCode = 404
      response.end()
    }
  })
  const listening = Promise.withResolvers<void>()
  server.once('error', listening.reject)
  server.listen(0, '127.0.0.1', listening.resolve)
  await listening.promise
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    close: async () => {
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      server.closeAllConnections()
      await closed.promise
    },
  }
}
