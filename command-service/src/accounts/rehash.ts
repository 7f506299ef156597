import { streamOf, type CredentialId, type UserId } from '@annals/contracts'
import { networkOf } from '@annals/platform/client-address'
import { newId } from '@annals/platform/ids'
import { Overloaded } from '../core/faults'
import type { Execute } from '../core/execute'
import { credentialDecider, rehashPassword } from './domain/credential'
import type { PasswordHasher } from './passwords'

/** A login that has succeeded, and what was compared with what. */
export interface ProvedPassword {
  userId: UserId
  credentialId: CredentialId
  /** As it is kept. */
  passwordHash: string
  /** Canonical. */
  password: string
  /** Address of the client, canonical. */
  client: string
  correlationId: string
  /** The session that the login began. */
  causationId: string
}

/** `put-off`: others wait for a hash, or the process ends. `superseded`: another was faster. The next login tries again. */
export type RehashOutcome = 'done' | 'superseded' | 'put-off' | 'failed'

/**
 * Hashes passwords anew whose hash is of another form, key or cost than today's. Nobody waits for it: the login is answered first,
 * and hashes that somebody waits for go first. What a crash or an outage stops, the next login begins again.
 */
export interface Rehash {
  /** Returns at once, and never throws. */
  after(login: ProvedPassword): void
  /** What is being hashed ends; what waits is put off. */
  close(): Promise<void>
}

export interface RehashDeps {
  execute: Execute
  passwords: Pick<PasswordHasher, 'hash' | 'isOutdated' | 'dismissRehashes'>
  now: () => string
  /** Told of every attempt, once. */
  onOutcome: (outcome: RehashOutcome, error?: unknown) => void
}

export function createRehash({ execute, passwords, now, onOutcome }: RehashDeps): Rehash {
  /** One for a credential at a time. They are as few as the queue of hashes holds, and those that are being written. */
  const running = new Map<CredentialId, Promise<void>>()
  let isClosed = false

  async function rehash(login: ProvedPassword): Promise<RehashOutcome> {
    const { userId, credentialId, password, client, correlationId, causationId } = login
    const place = { purpose: 'rehash', client: networkOf(client) } as const
    const passwordHash = await passwords.hash(password, place)
    const { appended } = await execute(credentialDecider, {
      stream: streamOf.credential(credentialId),
      context: {
        commandId: newId(),
        correlationId,
        causationId,
        actor: { type: 'system', id: 'password-rehash' },
        occurredAt: now(),
      },
      decide: rehashPassword({ userId, credentialId, passwordHash, formerHash: login.passwordHash }),
    })
    return appended ? 'done' : 'superseded'
  }

  return {
    after(login) {
      const { credentialId, passwordHash } = login
      if (isClosed || running.has(credentialId) || !passwords.isOutdated(passwordHash)) return
      const work = rehash(login)
        .then(
          (outcome) => onOutcome(outcome),
          (error: unknown) => onOutcome(error instanceof Overloaded ? 'put-off' : 'failed', error),
        )
        .finally(() => running.delete(credentialId))
      running.set(credentialId, work)
    },
    async close() {
      isClosed = true
      passwords.dismissRehashes()
      await Promise.all(running.values())
    },
  }
}
