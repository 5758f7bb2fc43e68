/**
 * What no handoff can do without: bytes made durable at both ends, and a line between them.
 *
 * @module
 */
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'

/** The log and two copies of the authority row, one after the other (docs/design.md, section 6). */
const FILES = ['log', 'one', 'two']
/** A row with its record. */
const ROW_BYTES = 1024

/**
 * Milliseconds of each of `times` rounds: `bytes` and a row made durable, sent over TCP, made durable again,
 * answered. Nothing is signed, hashed or run.
 */
export const bareHandoff = async (folder: string, bytes: number, times: number): Promise<number[]> => {
  const open3 = (name: string) => Promise.all(FILES.map((file) => open(join(folder, `${name}-${file}`), 'a')))
  const [source, target] = [await open3('source'), await open3('target')]
  const payload = new Uint8Array(bytes + ROW_BYTES).fill(1)
  const durable = async (files: Awaited<ReturnType<typeof open3>>): Promise<void> => {
    for (const [i, file] of files.entries()) {
      await file.write(i === 0 ? payload : payload.subarray(0, ROW_BYTES))
      await file.datasync()
    }
  }
  const server = createServer(async (socket) => {
    let got = 0
    for await (const data of socket) {
      got += (data as Uint8Array).length
      if (got < payload.length) continue
      got -= payload.length
      await durable(target)
      socket.write(payload.subarray(0, ROW_BYTES))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const socket = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1')
  socket.setNoDelay(true)
  await once(socket, 'connect')
  const rounds: number[] = []
  for (let i = 0; i < times; i++) {
    const from = performance.now()
    await durable(source)
    socket.write(payload)
    for (let got = 0; got < ROW_BYTES; ) got += ((await once(socket, 'data')) as [Uint8Array])[0].length
    rounds.push(performance.now() - from)
  }
  socket.destroy()
  server.close()
  for (const file of [...source, ...target]) await file.close()
  return rounds
}
