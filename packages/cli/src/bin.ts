#!/usr/bin/env node
// The entry of the `igor` command. Imports come after the check: older Node.js cannot even load them.
import process from 'node:process'

const WANTED_MAJOR = 22
const major = Number.parseInt(process.versions.node, 10)
if (major < WANTED_MAJOR) {
  process.stderr.write(`igor: needs Node.js ${WANTED_MAJOR} or newer, this is ${process.versions.node}: https://nodejs.org\n`)
  process.exit(1)
}

const { run } = await import('./program.ts')

const interrupted = new AbortController()
/** 128 + the signal's number, as shells have it. */
const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
for (const name of Object.keys(codes) as (keyof typeof codes)[]) {
  process.on(name, () => {
    if (interrupted.signal.aborted) process.exit(codes[name])
    interrupted.abort()
  })
}
// A reader that goes away (`igor logs -f | head`) ends the command.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

process.exitCode = await run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
  cwd: process.cwd(),
  signal: interrupted.signal,
})

// libp2p leaves timers of a second behind: a command that is done does not wait for them.
const GRACE_MS = 50
setTimeout(() => process.exit(), GRACE_MS).unref()
