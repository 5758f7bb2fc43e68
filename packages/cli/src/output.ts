/**
 * What commands print: text for people, JSON for scripts.
 *
 * @module
 */
import { styleText } from 'node:util'

/** What a command has of its surroundings; tests bring their own. */
export interface Io {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number }
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
}

export type Style = Parameters<typeof styleText>[0]

export interface Output {
  readonly json: boolean
  /** A result: `value` with --json, else the text. */
  result(value: unknown, text: string | (() => string)): void
  /** One line; nothing with --json. */
  line(text: string): void
  /** One line of a stream of results. */
  item(value: unknown, text: string): void
  /** For people, while a command works; on stderr. */
  note(text: string): void
  /** Colours only on a terminal that wants them. */
  paint(style: Style, text: string): string
}

export function createOutput(io: Io, json: boolean): Output {
  const print = (text: string): void => void io.stdout.write(`${text}\n`)
  return {
    json,
    result(value, text) {
      print(json ? toJson(value) : typeof text === 'string' ? text : text())
    },
    line(text) {
      if (!json) print(text)
    },
    item(value, text) {
      print(json ? toJson(value) : text)
    },
    note(text) {
      io.stderr.write(`${text}\n`)
    },
    paint(style, text) {
      return colours(io) ? styleText(style, text, { validateStream: false }) : text
    },
  }
}

/** https://no-color.org, and terminals that say they cannot. */
function colours(io: Io): boolean {
  return io.stdout.isTTY === true && !io.env.NO_COLOR && io.env.TERM !== 'dumb'
}

/** JSON on one line: bigint as a decimal string, bytes as base64. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'bigint') return item.toString()
    if (item instanceof Uint8Array) return Buffer.from(item).toString('base64')
    return item
  })
}

/** Rows in columns, the first row a heading; cells may hold colours. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, width(cell))
  }
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat((widths[i] ?? 0) - width(cell))))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Characters that a cell takes on screen. */
function width(cell: string): number {
  return [...plain(cell)].length
}

/** Without colours. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences start with one
  return text.replace(/\u001b\[[0-9;]*m/g, '')
}

/**
 * Text that came from an agent or a peer, safe for a terminal: control characters, which could move the cursor or change its
 * title, are shown as a dot; line breaks stay where `multiline`.
 */
export function safe(text: string, multiline = false): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, (character) => (multiline && character === '\n' ? character : '·'))
}
