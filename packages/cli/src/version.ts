/** @module */
import { readFileSync } from 'node:fs'

function read(): string {
  // The same place from src and from dist.
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest && typeof manifest.version === 'string') {
    return manifest.version
  }
  throw new Error('package.json of @igor/cli has no version')
}

/** Version of this command. */
export const VERSION = read()
