import { createHmac, hkdfSync } from 'node:crypto'
import type { Actor } from '@annals/contracts'
import { derivedId, newId } from '@annals/platform/ids'

/** Who asks for what, and what its events carry. */
export interface CommandContext {
  /** Names the command; all ids that it makes are derived from it. */
  commandId: string
  /** Of the whole request, when it came with an idempotency key. */
  fingerprint?: string
  correlationId: string
  causationId: string
  actor: Actor
  /** ISO 8601, UTC: the time of the command, and of every fact that it makes. */
  occurredAt: string
}

/** A step of a command that is a command of its own: its id is derived, its cause is the command it is a step of. */
export function stepOf(context: CommandContext, ...name: readonly (string | number)[]): CommandContext {
  const { correlationId, actor, occurredAt } = context
  return {
    commandId: derivedId(context.commandId, ...name),
    correlationId,
    causationId: context.commandId,
    actor,
    occurredAt,
  }
}

/** A command of a client, before it is known what it asks for. */
export interface Request {
  correlationId: string
  /** As the client gave it, or `undefined`. */
  idempotencyKey: string | undefined
}

export interface Identification {
  tenant: string
  /** Who may repeat: keys of different principals never meet. */
  principal: string
  /** Method and path pattern, as the table of routes has them. */
  route: string
  idempotencyKey: string | undefined
}

/**
 * The id of a command: with an idempotency key it is derived, so that a repeat is the same command in every process and
 * for ever; without one it is new.
 */
export const commandIdOf = ({ tenant, principal, route, idempotencyKey }: Identification): string =>
  idempotencyKey === undefined ? newId() : derivedId('command', tenant, principal, route, idempotencyKey)

/**
 * A fingerprint tells a repeat from another request under the same key: HMAC-SHA-256, hex, of the request in a canonical
 * form. It is keyed because it stays in the log for ever, beside sealed data whose content a plain hash would confirm to
 * whoever guesses it. Passwords never go into it.
 */
export type Fingerprint = (request: unknown) => string

/** @param key 32 bytes; what is used is derived from it (HKDF, RFC 5869), so that no other use of it is weakened. */
export function createFingerprint(key: Buffer): Fingerprint {
  const own = Buffer.from(hkdfSync('sha256', key, '', 'annals request fingerprint v1', 32))
  return (request) => createHmac('sha256', own).update(canonicalJson(request)).digest('hex')
}

/** JSON whose objects have their keys in order, so that equal requests are equal texts. `undefined` fields are left out. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    let fields = ''
    for (const name of Object.keys(value).toSorted()) {
      const field = (value as Record<string, unknown>)[name]
      if (field === undefined) continue
      fields += `${fields && ','}${JSON.stringify(name)}:${canonicalJson(field)}`
    }
    return `{${fields}}`
  }
  return JSON.stringify(value) ?? 'null'
}
