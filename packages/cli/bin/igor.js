#!/usr/bin/env node
// Committed as it is: npm links commands at installation, before anything is built.
import { existsSync } from 'node:fs'

const entry = new URL('../dist/bin.js', import.meta.url)
if (existsSync(entry)) await import(entry.href)
else {
  process.stderr.write('igor: not built yet: npm run build\n')
  process.exitCode = 1
}
