import { defineConfig } from '@playwright/test'
import { findChromium } from '../scripts/chromium.mjs'

const executablePath = findChromium()

export default defineConfig({
  testMatch: '**/*.spec.ts',
  outputDir: 'dist/results',
  // They wait for events and not for time, mostly: two at a time fill the cores of a small machine.
  workers: 2,
  retries: 0,
  // Tests wait for events: a busy machine takes longer, and none waits for nothing.
  timeout: 120_000,
  expect: { timeout: 15_000 },
  reporter: 'list',
  use: {
    browserName: 'chromium',
    // A machine that has only loopback gathers WebRTC candidates for a page that may use the microphone.
    permissions: ['microphone'],
    launchOptions: {
      ...(executablePath === undefined ? {} : { executablePath }),
      args: [
        '--no-sandbox',
        '--allow-loopback-in-peer-connection',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--no-first-run',
      ],
    },
  },
})
