// `npm run up`: installs and builds what is missing, then `igor up` with the same arguments (npm run up -- --port 0 --json).
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ensureInstalled, environment, findNode, isBuilt, root, run } from './workspace.mjs'

async function main() {
  await ensureInstalled()
  const node = findNode()
  if (!(await isBuilt())) {
    console.error('Building …')
    // In a process of its own, by the Node.js that was just installed; off stdout, which is for --json.
    const code = await run(node, [join(root, 'scripts', 'build.mjs')], { stdout: 'stderr' })
    if (code !== 0) throw new Error('the build failed: see above')
  }
  const child = spawn(node, [join(root, 'packages', 'cli', 'dist', 'bin.js'), 'up', ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: environment(),
  })
  // Ctrl-C reaches the whole group by the terminal; a signal to this process alone has to be passed on.
  let passed = false
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (signal === 'SIGINT' && process.stdin.isTTY && !passed) {
        passed = true
        return
      }
      child.kill(signal)
    })
  }
  await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      process.exitCode = code ?? (signal === 'SIGKILL' ? 137 : 1)
      resolve()
    })
  })
}

main().catch((error) => {
  console.error(`up: ${error.message}`)
  process.exitCode = 1
})
