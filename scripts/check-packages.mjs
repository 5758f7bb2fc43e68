// Looks at every package as npm would publish it: what is in it, and whether its package.json leads there.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { environment, root } from './workspace.mjs'

const call = promisify(execFile)

/** What any package may hold; `files` in its package.json names the rest. */
const ALWAYS = [/^package\.json$/, /^README\.md$/, /^LICENSE-(APACHE|MIT)$/]
/** What a package is for. */
const CONTENT = {
  'sdk-as': [/^assembly\/[\w-]+\.ts$/, /^assembly\/tsconfig\.json$/],
  cli: [/^bin\/igor\.js$/, /^dist\//, /^page\//],
}
const REQUIRED = ['package.json', 'README.md', 'LICENSE-APACHE', 'LICENSE-MIT']
const LICENCE = 'Apache-2.0 OR MIT'

/** @returns {Promise<{name: string, problems: string[]}[]>} one a package */
export async function checkPackages() {
  const folders = (await readdir(join(root, 'packages'))).sort()
  const results = []
  for (const folder of folders) {
    const problems = await checkPackage(folder).catch((error) => [`cannot be packed: ${error.message}`])
    results.push({ name: `packages/${folder}`, problems })
  }
  return results
}

/** @param {string} folder @returns {Promise<string[]>} what is wrong with it */
async function checkPackage(folder) {
  const path = join(root, 'packages', folder)
  const manifest = JSON.parse(await readFile(join(path, 'package.json'), 'utf8'))
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const { stdout } = await call(npm, ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: path,
    env: environment(),
    maxBuffer: 16 * 1024 * 1024,
  })
  const files = packed(JSON.parse(stdout))
  const allowed = [...ALWAYS, ...(CONTENT[folder] ?? [/^dist\//])]
  const problems = []
  for (const file of files) {
    if (!allowed.some((pattern) => pattern.test(file))) problems.push(`${file} does not belong into it`)
    if (/\.test\.|tsbuildinfo/.test(file)) problems.push(`${file} is for development`)
  }
  for (const file of REQUIRED) if (!files.includes(file)) problems.push(`${file} is missing`)
  for (const target of targets(manifest))
    if (!files.includes(target)) problems.push(`package.json leads to ${target}, which is not in it`)
  if (manifest.private) problems.push('is private')
  if (manifest.license !== LICENCE) problems.push(`its licence is not ${LICENCE}`)
  if (manifest.type !== 'module') problems.push('is not "type": "module"')
  if (manifest.sideEffects === undefined) problems.push('does not say whether it has side effects')
  if (!manifest.description) problems.push('has no description')
  for (const [name, version] of Object.entries(manifest.dependencies ?? {})) {
    if (!/^\d+\.\d+\.\d+$/.test(version)) problems.push(`depends on ${name} ${version}: name one version`)
    const own = name.startsWith('@igor/') ? join(root, 'packages', name.slice('@igor/'.length), 'package.json') : undefined
    if (own && existsSync(own) && JSON.parse(await readFile(own, 'utf8')).version !== version) {
      problems.push(`depends on ${name} ${version}, which is not its version here`)
    }
  }
  return problems
}

/** npm 11 answers with a list, npm 12 with names. @returns {string[]} */
function packed(answer) {
  const [pack] = Array.isArray(answer) ? answer : Object.values(answer)
  return pack.files.map((file) => file.path)
}

/** Every file that package.json names, but those that only this workspace reads (`source`). */
function* targets({ exports = {}, bin = {}, main, types }) {
  const visit = function* (value) {
    if (typeof value === 'string') yield value.replace(/^\.\//, '')
    else if (value) for (const [condition, inner] of Object.entries(value)) if (condition !== 'source') yield* visit(inner)
  }
  for (const value of [exports, bin, main, types]) yield* visit(value)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const results = await checkPackages()
  for (const { name, problems } of results) {
    console.log(`${problems.length === 0 ? 'ok  ' : 'FAIL'} ${name}`)
    for (const problem of problems) console.log(`     ${problem}`)
  }
  process.exitCode = results.some(({ problems }) => problems.length > 0) ? 1 : 0
}
