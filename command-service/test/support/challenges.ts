import type { ChallengePurpose } from '@annals/contracts'
import type { EventLog } from '@annals/platform/event-log'
import { derivedId } from '@annals/platform/ids'
import { createChallengeSecrets, type ChallengeSecrets } from '../../src/accounts/challenge-secrets'
import type { Environment } from './service'

/** What a notifier would send: tests read no mails, they make the answers as the service does. */
export const secretsOf = (environment: Environment): ChallengeSecrets =>
  createChallengeSecrets(Buffer.from(environment['RESERVATION_KEY']!, 'base64'), environment['TENANT'] ?? 'main')

/** @returns the ids of an account's challenges for a purpose, the latest last. */
export async function challengesOf(log: EventLog, purpose: ChallengePurpose, userId: string): Promise<string[]> {
  const events = await log.readStream(`latest-${purpose}-${userId}`)
  return events.map(({ data }) => (data as { challengeId: string }).challengeId)
}

/** @returns the challenge by which somebody may undo their last change of address. */
export async function undoOf(log: EventLog, userId: string, change = -1): Promise<string> {
  const events = await log.readStream(`user-${userId}`)
  const changed = events.filter(({ type }) => type === 'user.email_changed').at(change)
  const { occurredAt } = changed!.metadata as { occurredAt: string }
  return derivedId('undo-email', userId, occurredAt)
}
