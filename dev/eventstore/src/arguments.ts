import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { z } from 'zod'

export const usage =
  'usage: main.js --data <directory> [--port 2113] [--host 127.0.0.1] [--max-append-size <bytes>] ' +
  '[--tls-certificate <pem file> --tls-key <pem file>]'

/** Its content. */
const file = z.string().transform((path, context) => {
  try {
    return readFileSync(path)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
    return z.NEVER
  }
})

const shape = z.object({
  port: z.coerce.number().int().min(0).max(65_535).default(2113),
  host: z.string().min(1).default('127.0.0.1'),
  data: z.string({ error: 'is required' }).min(1),
  // EventStoreDB's own upper bound.
  'max-append-size': z.coerce
    .number()
    .int()
    .positive()
    .max(16 * 1024 * 1024)
    .optional(),
  'tls-certificate': file.optional(),
  'tls-key': file.optional(),
})

export interface Arguments {
  port: number
  host: string
  dataDirectory: string
  appendSizeMax?: number
  /** Both in PEM. */
  tls?: { certificate: Buffer; key: Buffer }
}

/** @returns the options, or all that is wrong with them in one text */
export function parseArguments(argv: readonly string[]): Arguments | { fault: string } {
  let values: unknown
  try {
    const text = { type: 'string' } as const
    const options = {
      port: text,
      host: text,
      data: text,
      'max-append-size': text,
      'tls-certificate': text,
      'tls-key': text,
    }
    values = parseArgs({ args: [...argv], options }).values
  } catch (error) {
    return { fault: (error as Error).message }
  }
  const parsed = shape.safeParse(values)
  if (!parsed.success)
    return { fault: parsed.error.issues.map((issue) => `--${issue.path.join('.')}: ${issue.message}`).join('\n') }
  const {
    port,
    host,
    data,
    'max-append-size': appendSizeMax,
    'tls-certificate': certificate,
    'tls-key': key,
  } = parsed.data
  if (!certificate !== !key) return { fault: '--tls-certificate and --tls-key go together' }
  return {
    port,
    host,
    dataDirectory: data,
    ...(appendSizeMax !== undefined && { appendSizeMax }),
    ...(certificate && key && { tls: { certificate, key } }),
  }
}
