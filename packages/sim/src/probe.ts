/**
 * The agent of the simulator, compiled from agent/probe.wat (wat2wasm). Its log tells whether it lived once.
 *
 * @module
 */

const base64 =
  'AGFzbQEAAAABIgdgAAF+YAJ/fwF/YAJ/fwBgAX4AYAN/f38Bf2AAAGAAAX8CRgQEaWdvcgljbG9ja19ub3cAAARpZ29yCnJhbmRfYnl0ZXMAAQRpZ29yCG' +
  'xvZ19lbWl0AAIEaWdvcgppbmJveF9uZXh0AAEDBQQDBAUGBQQBAQEEBxcCBm1lbW9yeQIACmFnZW50X3RpY2sABwqoAwQeAEEIQQgpAwAgAIVClfip+pe3' +
  '3puef35CG4k3AwALVwEDfwJAA0AgAyACQQF0Tw0BIAEgA0EBdmotAAAhBSAFQQ9xIAVBBHYgA0EBcRshBCAAIANqIARBMEHXACAEQQpJG2o6AAAgA0EBai' +
  'EDDAALCyAAIANqC6ABAQR/QYAILwEAQf8DcSEAQYIILQAAIQFBgAgvAQCtEARBwAAgAEEDdmohAkEBIABBB3F0IQMgAi0AACADcQRAQRBBECgCAEEBajYC' +
  'AAsgAiACLQAAIANyOgAAIAFBAUYQAELAhD2Ap0G5893xeWxBH3ZxBEAACyABQQJGBEBBBEEDNgIACyABQQNGBEBBAUAAGj8AQRB0QQhrIAA2AgALC4wBAQ' +
  'F/QQBBACgCAEEBajYCABAAEARBgAhBCBABGkGACCkDABAEAkADQEGACEGAAhADQQBMDQEQBgwACwtBgBBBAEEEEAUhACAAQQhBCBAFIQAgAEEQQQQQBSEA' +
  'IABBwABBwAAQBSEAQYAQIABBgBBrEAJBBCgCAAR/QQRBBCgCAEEBazYCAEEBBUEACws='

export const probe = (): Uint8Array => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))

/** Messages of one agent that it can tell apart. */
export const MAX_IDS = 512

/** Kinds of messages. */
export const PLAIN = 0
/** Its tick fails at half of all times, by the clock. */
export const FAILS = 1
/** It asks for three more ticks. */
export const HURRIES = 2
/** Its memory grows by a page, to four. */
export const GROWS = 3

export const messageOf = (id: number, kind: number): Uint8Array => Uint8Array.of(id & 0xff, id >> 8, kind)

/** A line of its log. */
export interface Report {
  /** How often it ticked. */
  readonly ticks: number
  /** Of everything that it ever observed. */
  readonly digest: string
  /** Messages that came twice. */
  readonly doubles: number
  has(id: number): boolean
}

export const readReport = (line: string): Report | undefined => {
  const found = /^([0-9a-f]{8})([0-9a-f]{16})([0-9a-f]{8})([0-9a-f]{128})$/.exec(line)
  if (found === null) return undefined
  const [, ticks = '', digest = '', doubles = '', bitmap = ''] = found
  return {
    ticks: u32(ticks),
    digest,
    doubles: u32(doubles),
    has: (id) => (Number.parseInt(bitmap.slice(2 * (id >> 3), 2 * (id >> 3) + 2), 16) & (1 << (id & 7))) !== 0,
  }
}

/** Little-endian, as the agent's memory has it. */
const u32 = (hex: string): number => {
  let value = 0
  for (let i = 6; i >= 0; i -= 2) value = value * 256 + Number.parseInt(hex.slice(i, i + 2), 16)
  return value
}
