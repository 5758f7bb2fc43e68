// Builds everything: packages (tsc), agents (asc), the page (esbuild), which goes beside the command that serves it.
// Options: --no-agents, --no-page.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ensureInstalled, markBuilt, root, runTool, tools } from './workspace.mjs'

/** Where the `igor` command looks for the page. */
const PAGE = join(root, 'packages', 'cli', 'page')

/**
 * @param {{agents?: boolean, page?: boolean}} [options]
 * @returns {Promise<string[]>} names of the agents whose committed module was not what their source compiles to
 * @throws {Error}
 */
export async function build({ agents = true, page = true } = {}) {
  const code = await runTool(tools.tsc, ['-b'])
  if (code !== 0) throw new Error('the packages do not compile: see above')
  /** @type {string[]} */
  let changed = []
  if (agents) {
    const { buildAgents } = await import(pathToFileURL(join(root, 'agents', 'build.mjs')))
    changed = await buildAgents()
    if (changed.length > 0) console.error(`agents: ${changed.join(', ')} (commit their .wasm)`)
  }
  if (page) {
    const { buildPage } = await import(pathToFileURL(join(root, 'demo', 'build.mjs')))
    const { gzip } = await buildPage({ outdir: PAGE })
    console.error(`page: ${Math.round(gzip / 1024)} KiB of JavaScript (gzip)`)
  }
  if (agents && page) await markBuilt()
  return changed
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    await ensureInstalled()
    await build({ agents: !process.argv.includes('--no-agents'), page: !process.argv.includes('--no-page') })
  } catch (error) {
    console.error(`build: ${error.message}`)
    process.exitCode = 1
  }
}
