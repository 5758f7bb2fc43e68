import { compile, type Imports, type Instance, instantiate } from '../instance.ts'
import { instrument } from '../instrument.ts'
import { wat } from './wat.ts'
import { ALLOW } from './wide.ts'

/** An instance of a module in text. */
export async function run(source: string, imports: Imports = {}): Promise<Instance> {
  return instantiate(await compile(instrument(wat(source), ALLOW)), imports)
}
