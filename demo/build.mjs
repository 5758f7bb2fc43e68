// Builds the page: `buildPage` is what scripts/build.mjs calls, and the folder that it writes is what `igor up` serves.
import { createHash } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { minify as terser } from 'terser'
import { slim } from './slim.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const agents = join(here, '../agents')
const browser = join(here, '../packages/browser/src')

/** JavaScript in all, gzip, in bytes: what a person waits for. */
export const BUDGET = 300 * 1024

/** A larger module is loaded when it is started, not kept for when the server is away: nobody waits for what they may never start. */
const MAX_KEPT = 256 * 1024

const OPTIONS = {
  bundle: true,
  format: 'esm',
  target: 'es2022',
  platform: 'browser',
  conditions: ['source', 'browser'],
  write: false,
  legalComments: 'none',
  logLevel: 'warning',
}

/** @param {{minify: boolean, plugins: import('esbuild').Plugin[]}} options */
const bundle = async ({ minify, plugins }) => {
  const common = { ...OPTIONS, minify, plugins: [slim, ...plugins], sourcemap: minify ? false : 'linked', outdir: here }
  const code = await build({
    ...common,
    entryPoints: {
      main: join(here, 'src/main.ts'),
      // Workers are loaded by name, beside the chunk that asks for them; what they share with the page is sent once.
      worker: join(browser, 'worker.ts'),
      'clock-worker': join(browser, 'clock-worker.ts'),
      'inspect-worker': join(here, 'src/inspect-worker.ts'),
    },
    splitting: true,
    chunkNames: 'part-[hash]',
  })
  const style = await build({
    ...common,
    sourcemap: false,
    external: ['/favicon.svg'],
    entryPoints: { style: join(here, 'src/style.css') },
  })
  const files = [...code.outputFiles, ...style.outputFiles].map(({ path, contents }) => ({
    name: path.slice(here.length + 1),
    contents,
  }))
  return minify ? Promise.all(files.map(shorten)) : files
}

/** Once more, by a minifier that looks further than the bundler's: 5 % less to wait for. */
const shorten = async ({ name, contents }) => {
  if (!name.endsWith('.js')) return { name, contents }
  const { code } = await terser(new TextDecoder().decode(contents), {
    module: true,
    toplevel: true,
    ecma: 2020,
    compress: { passes: 2 },
  })
  return { name, contents: new TextEncoder().encode(code) }
}

/** The gallery as the page reads it, with every file that it names. */
const gallery = async () => {
  const items = JSON.parse(await readFile(join(agents, 'gallery.json'), 'utf8'))
  const files = []
  const list = items.map((item) => {
    const moved = { ...item }
    for (const key of ['wasm', 'manifest']) {
      if (typeof item[key] !== 'string') continue
      files.push(item[key])
      moved[key] = `agents/${item[key]}`
    }
    return moved
  })
  return { list, files }
}

/**
 * @param {{outdir: string, minify?: boolean, plugins?: import('esbuild').Plugin[]}} options `plugins` are for development
 * @returns {Promise<{build: string, gzip: number, files: {name: string, bytes: number, gzip: number}[]}>}
 * @throws {Error} over budget (in a minified build)
 */
export async function buildPage({ outdir, minify = true, plugins = [] }) {
  const [files, { list, files: agentFiles }] = await Promise.all([bundle({ minify, plugins }), gallery()])
  const statics = await readdir(join(here, 'static'))
  const hash = createHash('sha256')
  for (const { name, contents } of files) hash.update(name).update(contents)
  for (const name of statics) hash.update(await readFile(join(here, 'static', name)))
  for (const name of agentFiles) hash.update(await readFile(join(agents, name)))
  const html = await readFile(join(here, 'index.html'), 'utf8')
  const sw = await readFile(join(here, 'sw.js'), 'utf8')
  const id = hash.update(html).update(sw).update(JSON.stringify(list)).digest('hex').slice(0, 12)

  await rm(outdir, { recursive: true, force: true })
  await mkdir(join(outdir, 'app', id), { recursive: true })
  for (const { name, contents } of files) await writeFile(join(outdir, 'app', id, name), contents)
  for (const name of statics) await cp(join(here, 'static', name), join(outdir, name))
  const keptAgents = []
  for (const name of agentFiles) {
    await mkdir(dirname(join(outdir, 'agents', name)), { recursive: true })
    await cp(join(agents, name), join(outdir, 'agents', name))
    if ((await stat(join(agents, name))).size <= MAX_KEPT) keptAgents.push(name)
  }
  await writeFile(join(outdir, 'gallery.json'), JSON.stringify(list))
  await writeFile(join(outdir, 'index.html'), html.replaceAll('/app/BUILD/', `/app/${id}/`))
  const shell = [
    '/',
    ...files.filter(({ name }) => !name.endsWith('.map')).map(({ name }) => `/app/${id}/${name}`),
    ...statics.map((name) => `/${name}`),
    '/gallery.json',
    ...keptAgents.map((name) => `/agents/${name}`),
  ]
  const worker = sw.replace("'__BUILD__'", JSON.stringify(id)).replace("'__SHELL__'", JSON.stringify(shell))
  await writeFile(join(outdir, 'sw.js'), worker)

  const sizes = [...files, { name: 'sw.js', contents: Buffer.from(worker) }]
    .filter(({ name }) => name.endsWith('.js') || name.endsWith('.css'))
    .map(({ name, contents }) => ({ name, bytes: contents.length, gzip: gzipSync(contents, { level: 9 }).length }))
  const gzip = sizes.filter(({ name }) => name.endsWith('.js')).reduce((sum, file) => sum + file.gzip, 0)
  await writeFile(join(outdir, 'sizes.json'), JSON.stringify({ build: id, gzip, budget: BUDGET, files: sizes }, null, 2))
  if (minify && gzip > BUDGET) {
    const list = sizes.map((file) => `${file.name} ${file.gzip}`).join(', ')
    throw new Error(`the page's JavaScript is ${gzip} bytes gzip, over its budget of ${BUDGET}: ${list}`)
  }
  return { build: id, gzip, files: sizes }
}
