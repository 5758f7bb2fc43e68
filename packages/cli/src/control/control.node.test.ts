import { once } from 'node:events'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { testFolder } from '../testing/folder.ts'
import { connectControl, isRunning } from './client.ts'
import type { LogLine } from './methods.ts'
import { MAX_SOCKET_PATH, readPlace, socketPath } from './place.ts'
import { type CallHandlers, type ControlServer, openControl, type StreamHandlers } from './server.ts'

const never = new AbortController().signal

/** A server of the few methods that a test needs. */
async function serve(
  dataDir: string,
  calls: Partial<CallHandlers>,
  streams: Partial<StreamHandlers> = {},
): Promise<ControlServer> {
  const server = await openControl({ dataDir, calls: calls as CallHandlers, streams: streams as StreamHandlers })
  onTestFinished(() => server.close())
  return server
}

/** One raw request to the socket. */
async function raw(
  path: string,
  options: { url: string; method?: string; token?: string; body?: string | Buffer },
): Promise<number> {
  const outgoing = request({
    socketPath: path,
    path: options.url,
    method: options.method ?? 'POST',
    headers: options.token === undefined ? {} : { authorization: `Bearer ${options.token}` },
  })
  outgoing.end(options.body)
  const [response] = await once(outgoing, 'response')
  response.resume()
  return response.statusCode
}

describe('the control socket', () => {
  it('carries parameters, bytes and money both ways', async () => {
    const dataDir = await testFolder()
    const file = new Uint8Array(3_000_000).map((_, i) => i)
    await serve(dataDir, {
      run: async ({ module, budget, name }) => ({ name, budget, memory: module.length }) as never,
      export: async () => ({ agent: 'did:key:z1', name: 'scout', file }),
    })
    const client = connectControl(dataDir, never)
    const status = await client.call('run', { module: file, budget: 2n ** 60n, name: 'scout' })
    expect(status).toEqual({ name: 'scout', budget: 2n ** 60n, memory: 3_000_000 })
    const exported = await client.call('export', { agent: 'scout' })
    expect(Buffer.compare(exported.file, file)).toBe(0)
  })

  it("brings the node's errors with their codes", async () => {
    const dataDir = await testFolder()
    await serve(dataDir, {
      pause: async () => {
        throw Object.assign(new Error('no agent is called scout: see igor ps'), { code: 'UNKNOWN_AGENT' })
      },
    })
    await expect(connectControl(dataDir, never).call('pause', { agent: 'scout' })).rejects.toMatchObject({
      code: 'UNKNOWN_AGENT',
      message: 'no agent is called scout: see igor ps',
      exitCode: 1,
    })
  })

  it.skipIf(process.platform === 'win32')('can be opened by its user alone', async () => {
    const dataDir = await testFolder()
    const server = await serve(dataDir, {})
    expect((await stat(server.path)).mode & 0o777).toBe(0o600)
    expect((await stat(join(dataDir, 'control.json'))).mode & 0o777).toBe(0o600)
  })

  it('refuses whoever does not show the token, and what is no method', async () => {
    const dataDir = await testFolder()
    const { path } = await serve(dataDir, { agents: async () => [] })
    const { token = '' } = (await readPlace(dataDir)) ?? {}
    expect(await raw(path, { url: '/v1/agents', body: '{}\n' })).toBe(401)
    expect(await raw(path, { url: '/v1/agents', token: `${token.slice(1)}0`, body: '{}\n' })).toBe(401)
    expect(await raw(path, { url: '/v1/agents', token, body: '{}\n' })).toBe(200)
    expect(await raw(path, { url: '/v1/agents', token, method: 'PUT', body: '{}\n' })).toBe(404)
    for (const url of ['/', '/v1/', '/v1/toString', '/v1/__proto__', '/v2/agents', '/v1/agents/', '/v1/agents?x']) {
      expect(await raw(path, { url, token, body: '{}\n' }), url).toBe(404)
    }
  })

  it('checks parameters at the door', async () => {
    const dataDir = await testFolder()
    const { path } = await serve(dataDir, { send: async () => ({ agent: 'a', name: 'b' }) })
    const { token = '' } = (await readPlace(dataDir)) ?? {}
    const bodies = [
      '',
      '{}',
      '{}\n',
      'null\n',
      '{"agent":""}\n',
      '{"agent":"a","message":"text"}\n',
      '{"agent":7,"message":{"$bytes":0}}\n',
      '{"agent":"a","message":{"$bytes":9}}\nabc',
    ]
    for (const body of bodies) expect(await raw(path, { url: '/v1/send', token, body }), body).toBe(400)
    expect(await raw(path, { url: '/v1/send', token, body: '{"agent":"a","message":{"$bytes":3}}\nabc' })).toBe(200)
    const large = Buffer.concat([Buffer.from('{"agent":"a","message":{"$bytes":3000000}}\n'), Buffer.alloc(3_000_000)])
    expect(await raw(path, { url: '/v1/send', token, body: large })).toBe(400)
  })

  it('says how to start a node where none runs, or one died', async () => {
    const dataDir = await testFolder()
    const client = connectControl(dataDir, never)
    const message = `no node runs in ${dataDir}: start one with igor up`
    await expect(client.call('agents', {})).rejects.toMatchObject({ code: 'NO_NODE', message })
    expect(await isRunning(dataDir, never)).toBe(false)
    await writeFile(join(dataDir, 'control.json'), JSON.stringify({ path: join(dataDir, 'control.sock'), token: 'x', pid: 1 }))
    await expect(client.call('agents', {})).rejects.toMatchObject({ code: 'NO_NODE', message })
    await writeFile(join(dataDir, 'control.json'), '{"path":')
    await expect(client.call('agents', {})).rejects.toMatchObject({ code: 'NO_NODE', message })
  })

  it('takes the place of a socket that a dead node left', async () => {
    const dataDir = await testFolder()
    const path = await socketPath(dataDir)
    const dead = createServer().listen(path)
    await once(dead, 'listening')
    // As after kill -9: the file stays, nobody listens.
    const file = await stat(path)
    dead.close()
    await once(dead, 'close')
    await writeFile(path, '')
    expect(file.isSocket()).toBe(true)
    await serve(dataDir, { agents: async () => [] })
    expect(await connectControl(dataDir, never).call('agents', {})).toEqual([])
  })

  it('is found where the folder has a path too long for a socket', async () => {
    const dataDir = join(await testFolder(), 'a-name-of-some-length'.repeat(6))
    await mkdir(dataDir, { recursive: true })
    const server = await serve(dataDir, { agents: async () => [] })
    expect(Buffer.byteLength(server.path)).toBeLessThanOrEqual(MAX_SOCKET_PATH)
    expect(server.path.startsWith(dataDir)).toBe(false)
    if (process.platform !== 'win32') expect((await stat(join(server.path, '..'))).mode & 0o077).toBe(0)
    expect(await connectControl(dataDir, never).call('agents', {})).toEqual([])
  })

  it('leaves nothing behind', async () => {
    const dataDir = await testFolder()
    const server = await serve(dataDir, {})
    await server.close()
    await expect(readFile(join(dataDir, 'control.json'))).rejects.toMatchObject({ code: 'ENOENT' })
    if (process.platform !== 'win32') await expect(stat(server.path)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('streams of the control socket', () => {
  const line = (tick: number): LogLine => ({ tick, time: 0, text: `tick ${tick}` })

  it('bring items as they come, until the end', async () => {
    const dataDir = await testFolder()
    await serve(
      dataDir,
      {},
      {
        logs: async function* ({ lines }) {
          for (let tick = 1; tick <= lines; tick++) yield line(tick)
        },
      },
    )
    const got: LogLine[] = []
    for await (const item of connectControl(dataDir, never).stream('logs', { agent: 'a', lines: 1000, follow: false }))
      got.push(item)
    expect(got).toEqual(Array.from({ length: 1000 }, (_, i) => line(i + 1)))
  })

  it('carry views', async () => {
    const dataDir = await testFolder()
    const event = {
      type: 'view',
      tick: 1,
      view: { kind: 'rgba', bytes: new Uint8Array([1, 2, 3, 4]), width: 1, height: 1 },
    } as const
    await serve(
      dataDir,
      {},
      {
        watch: async function* () {
          yield event
        },
      },
    )
    const got: unknown[] = []
    for await (const item of connectControl(dataDir, never).stream('watch', { agent: 'a' })) got.push(item)
    expect(got).toEqual([event])
  })

  it('end at the node when the command goes', async () => {
    const dataDir = await testFolder()
    const ended = Promise.withResolvers<void>()
    await serve(
      dataDir,
      {},
      {
        logs: async function* (_params, signal) {
          yield line(1)
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
          ended.resolve()
        },
      },
    )
    const interrupted = new AbortController()
    for await (const item of connectControl(dataDir, interrupted.signal).stream('logs', { agent: 'a', lines: 0, follow: true })) {
      expect(item.tick).toBe(1)
      interrupted.abort()
    }
    await ended.promise
  })

  it('bring errors, before the first item and after', async () => {
    const dataDir = await testFolder()
    const failure = Object.assign(new Error('no such agent'), { code: 'UNKNOWN_AGENT' })
    await serve(
      dataDir,
      {},
      {
        // biome-ignore lint/correctness/useYield: fails before it could
        watch: async function* () {
          throw failure
        },
        logs: async function* () {
          yield line(1)
          throw failure
        },
      },
    )
    const client = connectControl(dataDir, never)
    const drain = async (stream: AsyncIterable<unknown>): Promise<number> => {
      let count = 0
      for await (const _ of stream) count++
      return count
    }
    await expect(drain(client.stream('watch', { agent: 'a' }))).rejects.toMatchObject({ code: 'UNKNOWN_AGENT' })
    await expect(drain(client.stream('logs', { agent: 'a', lines: 1, follow: false }))).rejects.toMatchObject({
      code: 'UNKNOWN_AGENT',
    })
  })

  it('end when the node stops', async () => {
    const dataDir = await testFolder()
    const server = await serve(
      dataDir,
      {},
      {
        logs: async function* (_params, signal) {
          yield line(1)
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
        },
      },
    )
    const items: LogLine[] = []
    for await (const item of connectControl(dataDir, never).stream('logs', { agent: 'a', lines: 0, follow: true })) {
      items.push(item)
      void server.close()
    }
    expect(items).toEqual([line(1)])
  })
})
