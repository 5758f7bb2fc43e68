import { once } from 'node:events'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, type IncomingMessage, request } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { packLastWords } from '@igor/core'
import { describe, expect, it, onTestFinished } from 'vitest'
import { selfSigned } from '../testing/certificate.ts'
import { testFolder } from '../testing/folder.ts'
import { readPage } from './files.ts'
import { openPage, type PageOptions, type PageServer } from './server.ts'

const SCRIPT = 'export const answer = 42\n'.repeat(100)
const files: Readonly<Record<string, string>> = {
  'index.html': '<!doctype html><title>Igor</title>',
  'sw.js': '// worker',
  'app/0123456789ab/main.js': SCRIPT,
  'chunk-ABCD2345.js': SCRIPT,
  'style.css': 'body{}',
  'agents/life/life.wasm': '\0asm',
  'gallery.json': '[]',
  'icon.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'icon.png': 'png',
  'app.webmanifest': '{}',
}

async function builtPage(): Promise<string> {
  const folder = join(await testFolder(), 'page')
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return folder
}

async function open(options: Partial<PageOptions> = {}): Promise<PageServer> {
  const page = await openPage({
    host: '127.0.0.1',
    port: 0,
    files: await readPage(await builtPage()),
    node: (host, secure) => ({ peerId: '12D3', name: 'server', multiaddrs: [`${host.name} ${secure}`], iceServers: [] }),
    metrics: async () => 'igor_ticks_total 1\n',
    ...options,
  })
  onTestFinished(() => page.close())
  return page
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

interface Asked {
  readonly host?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly address?: string
  readonly tls?: boolean
}

/** As a browser asks, with any path and Host. */
async function get(page: PageServer, path: string, asked: Asked = {}): Promise<Answer> {
  const ask = asked.tls === true ? tlsRequest : request
  const outgoing = ask({
    host: asked.address ?? '127.0.0.1',
    port: page.port,
    path,
    method: asked.method ?? 'GET',
    headers: { host: asked.host ?? `localhost:${page.port}`, ...asked.headers },
    ...(asked.tls === true ? { rejectUnauthorized: false } : {}),
    agent: false,
  })
  outgoing.end()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part)
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }
}

describe('the page server', () => {
  it('serves every file with its type', async () => {
    const page = await open()
    const types: Record<string, string> = {}
    for (const name of Object.keys(files)) {
      const answer = await get(page, `/${name}`)
      expect(answer.status, name).toBe(200)
      expect(answer.body.toString(), name).toBe(files[name])
      types[name] = answer.headers['content-type'] ?? ''
    }
    expect(types).toEqual({
      'index.html': 'text/html; charset=utf-8',
      'sw.js': 'text/javascript; charset=utf-8',
      'app/0123456789ab/main.js': 'text/javascript; charset=utf-8',
      'chunk-ABCD2345.js': 'text/javascript; charset=utf-8',
      'style.css': 'text/css; charset=utf-8',
      'agents/life/life.wasm': 'application/wasm',
      'gallery.json': 'application/json; charset=utf-8',
      'icon.svg': 'image/svg+xml',
      'icon.png': 'image/png',
      'app.webmanifest': 'application/manifest+json; charset=utf-8',
    })
    expect((await get(page, '/?from=link')).body.toString()).toBe(files['index.html'])
  })

  it('puts the policy on every answer', async () => {
    const page = await open()
    for (const path of ['/', '/sw.js', '/node.json', '/healthz', '/metrics', '/nothing']) {
      const { headers } = await get(page, path)
      expect(headers['content-security-policy'], path).toBe(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' ws: wss: https:; " +
          "style-src 'self'; img-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      )
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
      })
      expect(headers['permissions-policy'], path).not.toContain('microphone')
    }
  })

  it('finds nothing outside of the page', async () => {
    const folder = await builtPage()
    await writeFile(join(folder, '..', 'secret.txt'), 'secret')
    await writeFile(join(folder, '.hidden'), 'secret')
    await symlink(join(folder, '..', 'secret.txt'), join(folder, 'link.txt'))
    const page = await open({ files: await readPage(folder) })
    const paths = [
      '/../secret.txt',
      '/%2e%2e/secret.txt',
      '/..%2fsecret.txt',
      '/app/../../secret.txt',
      '/..\\secret.txt',
      '//secret.txt',
      '/.hidden',
      '/link.txt',
      '/app',
      '/app/',
      '/%',
      '/\u00e9',
      '/index.html/',
      '/index.html%00',
      'http://localhost/secret.txt',
    ]
    for (const path of paths) {
      const answer = await get(page, encodeURI(path) === path ? path : encodeURI(path))
      expect(answer.status, path).toBe(404)
      expect(answer.body.toString(), path).toBe('no such page\n')
    }
  })

  it('compresses for whom it helps, and lets browsers keep what cannot change', async () => {
    const page = await open()
    const asset = '/app/0123456789ab/main.js'
    const br = await get(page, asset, { headers: { 'accept-encoding': 'gzip, deflate, br' } })
    expect(br.headers).toMatchObject({
      'content-encoding': 'br',
      vary: 'accept-encoding',
      'cache-control': 'public, max-age=31536000, immutable',
    })
    expect(brotliDecompressSync(br.body).toString()).toBe(SCRIPT)
    const gzip = await get(page, asset, { headers: { 'accept-encoding': 'gzip, br;q=0' } })
    expect(gzip.headers['content-encoding']).toBe('gzip')
    expect(gunzipSync(gzip.body).toString()).toBe(SCRIPT)
    expect(gzip.headers.etag).not.toBe(br.headers.etag)
    expect((await get(page, '/icon.png', { headers: { 'accept-encoding': 'br' } })).headers['content-encoding']).toBeUndefined()

    expect((await get(page, '/chunk-ABCD2345.js')).headers['cache-control']).toContain('immutable')
    for (const path of ['/', '/sw.js', '/gallery.json'])
      expect((await get(page, path)).headers['cache-control'], path).toBe('no-cache')
    expect((await get(page, '/node.json')).headers['cache-control']).toBe('no-store')

    const same = await get(page, asset, { headers: { 'accept-encoding': 'br', 'if-none-match': `"other", ${br.headers.etag}` } })
    expect([same.status, same.body.length]).toEqual([304, 0])
    const other = await get(page, asset, { headers: { 'accept-encoding': 'gzip', 'if-none-match': br.headers.etag ?? '' } })
    expect(other.status).toBe(200)
  })

  it('answers HEAD without a body and nothing but GET and HEAD', async () => {
    const page = await open()
    const head = await get(page, '/style.css', { method: 'HEAD' })
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '6', 0])
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await get(page, '/', { method })
      expect([answer.status, answer.headers.allow], method).toEqual([405, 'GET, HEAD'])
    }
  })

  it('takes the last words of a page that closes, within limits', async () => {
    const heard: number[] = []
    const page = await open({
      release: async (words) => {
        heard.push(words.length)
        return words.length === 3
      },
    })
    const post = async (body: Uint8Array) => {
      const answer = await fetch(`${page.url}release`, { method: 'POST', body: body as Uint8Array<ArrayBuffer> })
      return [answer.status, await answer.text()]
    }
    const words = [3, 5].map((length) => ({ agent: 'did:key:z', witness: '12D3', bytes: new Uint8Array(length).fill(7) }))
    expect(await post(packLastWords(words))).toEqual([200, '1 taken\n'])
    expect(heard).toEqual([3, 5])
    expect((await post(new Uint8Array(70_000)))[0]).toBe(413)
    expect((await post(Uint8Array.of(0xff)))[0]).toBe(400)
    expect(heard).toEqual([3, 5])
    const without = await open()
    expect((await fetch(`${without.url}release`, { method: 'POST', body: 'x' })).status).toBe(405)
  })

  it('says who the node is and how it does', async () => {
    const page = await open()
    expect(JSON.parse((await get(page, '/node.json')).body.toString())).toEqual({
      peerId: '12D3',
      name: 'server',
      multiaddrs: ['localhost false'],
      iceServers: [],
    })
    expect(JSON.parse((await get(page, '/healthz')).body.toString())).toEqual({ status: 'ok', peerId: '12D3' })
    const metrics = await get(page, '/metrics', { host: `127.0.0.1:${page.port}` })
    expect([metrics.status, metrics.headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    const starting = await open({ node: () => undefined, metrics: async () => undefined })
    for (const path of ['/healthz', '/metrics', '/node.json']) expect((await get(starting, path)).status, path).toBe(503)
  })

  it('keeps one origin: 127.0.0.1 leads to localhost', async () => {
    const page = await open()
    const answer = await get(page, '/app/x?y=1', { host: `127.0.0.1:${page.port}` })
    expect([answer.status, answer.headers.location]).toEqual([307, `http://localhost:${page.port}/app/x?y=1`])
    const six = await get(page, '/', { host: `[::1]:${page.port}` })
    expect([six.status, six.headers.location]).toEqual([307, `http://localhost:${page.port}/`])
  })

  it('tells a name that merely points here nothing', async () => {
    const page = await open()
    for (const path of ['/', '/node.json', '/metrics', '/healthz']) {
      const answer = await get(page, path, { host: 'evil.example' })
      expect(answer.status, path).toBe(421)
      expect(answer.body.toString(), path).not.toContain('12D3')
    }
    for (const host of ['a b', 'evil.example:x', '<script>', 'a'.repeat(300)]) {
      expect((await get(page, '/', { host })).status, host).toBe(400)
    }
  })

  it('is on localhost by either address, and says so when its port is busy', async () => {
    const page = await open()
    const six = await get(page, '/', { address: '::1' }).catch((error: NodeJS.ErrnoException) => error.code)
    // A machine without IPv6 has no ::1.
    if (typeof six === 'object') expect(six.status).toBe(200)
    else expect(six).toBe('EADDRNOTAVAIL')
    await expect(open({ port: page.port })).rejects.toMatchObject({
      code: 'PORT_BUSY',
      message: expect.stringContaining('--port'),
    })
    await expect(open({ host: '192.0.2.1' })).rejects.toMatchObject({ code: 'BAD_HOST' })
  })

  it('takes no other port when the second loopback address is taken', async () => {
    const other = createServer()
    other.listen(0, '::1')
    await Promise.race([once(other, 'listening'), once(other, 'error')])
    if (!other.listening) return
    onTestFinished(() => void other.close())
    await expect(open({ port: (other.address() as AddressInfo).port })).rejects.toMatchObject({ code: 'PORT_BUSY' })
  })

  it('serves other hosts over TLS alone', async () => {
    const page = await open({ host: '0.0.0.0' })
    const refused = await get(page, '/', { host: `igor.example:${page.port}` })
    expect(refused.status).toBe(403)
    expect(refused.body.toString()).toContain('needs a secure connection')
    expect((await get(page, '/node.json', { host: 'igor.example' })).status).toBe(403)
    expect((await get(page, '/healthz', { host: 'igor.example' })).status).toBe(200)
    // Not asked to believe a proxy, it does not.
    expect((await get(page, '/', { host: 'igor.example', headers: { 'x-forwarded-proto': 'https' } })).status).toBe(403)
    expect((await get(page, '/')).status).toBe(200)

    const behind = await open({ host: '0.0.0.0', behindProxy: true })
    expect((await get(behind, '/', { host: 'igor.example', headers: { 'x-forwarded-proto': 'https' } })).status).toBe(200)
    expect((await get(behind, '/', { host: 'igor.example', headers: { 'x-forwarded-proto': 'http' } })).status).toBe(403)

    const tls = await open({ host: '0.0.0.0', tls: await selfSigned() })
    expect(tls.url).toBe(`https://localhost:${tls.port}/`)
    expect((await get(tls, '/', { host: 'igor.example', tls: true })).status).toBe(200)
    await expect(open({ tls: { cert: 'no', key: 'none' } })).rejects.toMatchObject({ code: 'BAD_CERTIFICATE' })
  })

  it('shows what there is instead of a page', async () => {
    const headless = await open({ files: 'headless' })
    expect((await get(headless, '/')).body.toString()).toContain('--headless')
    expect((await get(headless, '/healthz')).status).toBe(200)
    expect((await get(headless, '/index.html')).status).toBe(404)
    const unbuilt = await open({ files: await readPage(join(await testFolder(), 'none')) })
    expect((await get(unbuilt, '/')).body.toString()).toContain('npm run build')
  })

  it('passes WebSockets on to the node where there is TLS, and only there', async () => {
    const seen = Promise.withResolvers<IncomingMessage>()
    const inner = createHttpServer().on('upgrade', (message, socket) => {
      seen.resolve(message)
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n')
      socket.pipe(socket)
    })
    inner.listen(0, '127.0.0.1')
    await once(inner, 'listening')
    onTestFinished(() => {
      inner.close()
      inner.closeAllConnections()
    })
    const { port } = inner.address() as AddressInfo
    const handshake =
      'GET / HTTP/1.1\r\nhost: igor.example\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: x\r\n\r\n'

    const page = await open({ behindProxy: true, webSocketPort: () => port })
    const socket = connect(page.port, '127.0.0.1')
    socket.write(handshake)
    await once(socket, 'data')
    expect((await seen.promise).headers).toMatchObject({ host: 'igor.example', 'sec-websocket-key': 'x' })
    socket.write('hello')
    expect(String((await once(socket, 'data'))[0])).toBe('hello')
    socket.destroy()

    const plain = await open({ webSocketPort: () => port })
    const refused = connect(plain.port, '127.0.0.1')
    refused.write(handshake)
    expect(String((await once(refused, 'data'))[0])).toMatch(/^HTTP\/1\.1 421 /)
    refused.destroy()
  })
})
