import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'
import { relayCommands } from './packages/libp2p/src/testing/commands.ts'
import { findChromium } from './scripts/chromium.mjs'

// x.test.ts runs everywhere its package does, x.node.test.ts in Node.js alone, x.browser.test.ts in Chromium alone.
const isomorphic = ['sandbox', 'lineage', 'core', 'libp2p', 'sim']
const libp2pInTabs = [
  'libp2p',
  'uint8arraylist',
  ...[
    'circuit-relay-v2',
    'crypto/keys',
    'gossipsub',
    'identify',
    'noise',
    'peer-id',
    'ping',
    'utils',
    'webrtc',
    'websockets',
    'yamux',
  ].map((name) => `@libp2p/${name}`),
  '@multiformats/multiaddr',
]
const conditions = ['source', 'import', 'module', 'default']

export default defineConfig({
  test: {
    projects: [
      {
        resolve: { conditions: [...conditions, 'node'] },
        ssr: { resolve: { conditions: [...conditions, 'node'], externalConditions: ['source'] } },
        test: {
          name: 'node',
          environment: 'node',
          include: ['packages/*/src/**/*.test.ts', 'demo/src/**/*.test.ts'],
          exclude: ['**/*.browser.test.ts', 'packages/browser/**', '**/node_modules/**'],
          testTimeout: 30_000,
          // Most of them wait for disks, timers and peers: more of them than cores.
          maxWorkers: 3,
        },
      },
      {
        resolve: { conditions: [...conditions, 'browser'] },
        // Found too late by Vite's own search, which then reloads the page in the middle of a test.
        optimizeDeps: { include: libp2pInTabs },
        test: {
          name: 'chromium',
          // They wait, too.
          maxWorkers: 2,
          include: [...isomorphic.map((name) => `packages/${name}/src/**/*.test.ts`), 'packages/browser/src/**/*.test.ts'],
          exclude: ['**/*.node.test.ts', '**/node_modules/**'],
          testTimeout: 30_000,
          browser: {
            enabled: true,
            headless: true,
            commands: relayCommands,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                ...(findChromium() === undefined ? {} : { executablePath: findChromium() }),
                args: [
                  '--no-sandbox',
                  '--allow-loopback-in-peer-connection',
                  '--disable-background-networking',
                  '--no-first-run',
                ],
              },
              contextOptions: { permissions: ['microphone'] },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
    ],
  },
})
