/**
 * A node that runs the counter until it is killed, and says what it shows: a line `tick <n>` for each that is seen,
 * `heard <n>` for each message that was acknowledged. Started by the tests with data folder and module as arguments.
 *
 * @module
 */
import { readFileSync, writeSync } from 'node:fs'
import { createNode } from './create-node.ts'

const [, , dataDir = '', module = ''] = process.argv
const node = await createNode({ dataDir, listen: {} })
const manifest = { capabilities: { log: { version: 1 }, inbox: { version: 1 } }, tick_interval_ms: 10 }
const agent =
  node.agents().length > 0 ? node.agent('counter') : await node.spawn({ module: readFileSync(module), manifest, name: 'counter' })

// At once and past every buffer: what is said has left the process.
const say = (line: string): number => writeSync(1, `${line}\n`)
const watch = async (): Promise<void> => {
  for await (const event of agent.watch(new AbortController().signal)) if (event.type === 'log') say(event.text)
}
const send = async (): Promise<void> => {
  for (let sent = agent.status.inbox + 1; sent <= 60; sent++) {
    await agent.send('kept')
    say(`heard ${sent}`)
  }
}
await Promise.all([watch(), send()])
