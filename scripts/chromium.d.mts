/** The path of a Chromium, or undefined where there is none yet. */
export function findChromium(): string | undefined
