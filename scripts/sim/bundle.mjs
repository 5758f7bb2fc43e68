// The simulator and the core that it runs, as one file for Node.js and pages: with signatures that cost a hash, modules that
// compile at once, and, where one is asked for, a fault planted in core.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { root } from '../workspace.mjs'

/**
 * @typedef {{file: string, line: string, faulty: string}} Fault a line of core's source, exactly, and what stands there instead
 * @param {{fault?: Fault, real?: boolean, tree?: string}} [options] `real`: with real signatures; `tree`: another checkout's packages
 * @returns {Promise<string>} the source of a module
 */
export async function bundle({ fault, real = false, tree } = {}) {
  const ideal = join(root, 'packages', 'sim', 'src', 'ideal')
  let planted = false
  const result = await build({
    entryPoints: [join(root, 'packages', 'sim', 'src', 'index.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    target: 'es2024',
    mainFields: ['module', 'main'],
    conditions: ['source', 'import', 'default'],
    absWorkingDir: root,
    define: { 'WebAssembly.compile': 'compileNow' },
    inject: [join(ideal, 'compile.ts')],
    plugins: [
      {
        name: 'simulated',
        setup(builder) {
          if (!real) builder.onResolve({ filter: /^@noble\/curves\/ed25519\.js$/ }, () => ({ path: join(ideal, 'ed25519.ts') }))
          if (tree !== undefined) {
            builder.onResolve({ filter: /^@igor\/(core|lineage|sandbox)(\/.*)?$/ }, ({ path }) => {
              const [, name, part = '/index'] = /^@igor\/(\w+)(\/.*)?$/.exec(path)
              const folder = join(tree, 'packages', name, 'src')
              return { path: part === '/worker' ? join(folder, 'worker', 'index.ts') : join(folder, `${part.slice(1)}.ts`) }
            })
          }
          if (fault === undefined) return
          builder.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
            if (!path.endsWith(join('packages', fault.file))) return undefined
            const source = await readFile(path, 'utf8')
            if (source.split(fault.line).length !== 2)
              throw new Error(`packages/${fault.file} does not hold this exactly once: ${fault.line}`)
            planted = true
            return { contents: source.replace(fault.line, () => fault.faulty), loader: 'ts' }
          })
        },
      },
    ],
    logLevel: 'silent',
  })
  if (fault !== undefined && !planted) throw new Error(`packages/${fault.file} is no part of the simulated core`)
  return result.outputFiles[0].text
}
