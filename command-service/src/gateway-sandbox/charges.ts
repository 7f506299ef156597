import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
} from 'node:fs'
import path from 'node:path'
import { z } from 'zod'

const Entry = z.object({
  key: z.string(),
  /** Epoch ms; former releases did not write it. */
  at: z.number().optional(),
  /** What was asked, as text: a key belongs to one request. */
  request: z.string(),
  /** `null`: the request came and nothing became of it. */
  result: z
    .discriminatedUnion('status', [
      z.object({ status: z.literal('succeeded'), id: z.string() }),
      z.object({ status: z.literal('declined'), reason: z.string() }),
    ])
    .nullable(),
})
export type Entry = z.infer<typeof Entry>

export interface ChargesOptions {
  /** After so long a key is forgotten, as by a real gateway; what was charged under it stays on record. Default: a day. */
  keyHours?: number
  /** Epoch ms. */
  now?: () => number
}

/** What the sandbox has been asked and what became of it, one JSON line each, so that it remembers over restarts. */
export interface Charges {
  /** `undefined` too when the key was forgotten. */
  find(key: string): Entry | undefined
  /** Durable when it returns. */
  record(entry: Omit<Entry, 'at'>): void
  close(): void
}

/** @param file made when it is missing, with its folder. A last line that was cut off by a crash is left out. */
export function openCharges(file: string, { keyHours = 24, now = Date.now }: ChargesOptions = {}): Charges {
  mkdirSync(path.dirname(file), { recursive: true })
  const entries = new Map<string, Entry>()
  if (existsSync(file)) {
    const text = readFileSync(file, 'utf8')
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    // What comes next must not be written behind half a line.
    truncateSync(file, Buffer.byteLength(whole))
    for (const line of whole.split('\n').slice(0, -1)) {
      const entry = Entry.parse(JSON.parse(line))
      entries.set(entry.key, entry)
    }
  }
  const descriptor = openSync(file, 'a')
  return {
    find(key) {
      const entry = entries.get(key)
      return entry?.at !== undefined && now() - entry.at > keyHours * 3_600_000 ? undefined : entry
    },
    record(asked) {
      const entry = { ...asked, at: now() }
      appendFileSync(descriptor, `${JSON.stringify(entry)}\n`)
      fsyncSync(descriptor)
      entries.set(entry.key, entry)
    },
    close: () => closeSync(descriptor),
  }
}
