import { expect } from '@jest/globals'
import type { Pool } from '@annals/platform/postgres'
import { eventually } from '@annals/platform/testing'
import { attempts, deliveries } from './notifier'
import type { MailServer } from './servers'

/** Waits until everything intended has been accepted. @param intended ids of events that call for one mail each. */
export async function allAccepted(pool: Pool, intended: ReadonlySet<string>, withinMs: number): Promise<void> {
  await eventually(
    async () => {
      const counts: Record<string, number> = {}
      for (const { state } of await deliveries(pool)) counts[state] = (counts[state] ?? 0) + 1
      expect(counts).toEqual({ accepted: intended.size })
    },
    { withinMs },
  )
}

/**
 * Expects each intended mail to be recorded exactly once under an identity of its own, and to have arrived; one that arrived twice to
 * belong to a delivery whose attempts say that an attempt was lost.
 * @returns counts, to be printed.
 */
export async function expectEachMailOnce(pool: Pool, mail: MailServer, intended: ReadonlySet<string>) {
  const rows = await deliveries(pool)
  const { rows: recorded } = await pool.query<{ event_id: string }>('select event_id from delivery')
  expect(recorded.map(({ event_id }) => event_id).toSorted()).toEqual([...intended].toSorted())
  expect(new Set(rows.map(({ identity }) => identity)).size).toBe(intended.size)

  const arrived = (await mail.mails()).map(({ messageId }) => messageId)
  expect(new Set(arrived)).toEqual(new Set(rows.map(({ identity }) => identity)))
  const repeated = new Set(arrived.filter((id, i) => arrived.indexOf(id) !== i))
  for (const { id, identity } of rows.filter(({ identity }) => repeated.has(identity))) {
    const made = await attempts(pool, id)
    const outcomes = made.map(({ outcome }) => outcome)
    // Given up as lost before the next one began: still unknown, or told late by a worker that was frozen, when the next was under way.
    const wasLost = made.some(({ outcome, finished_at }, i) => {
      const next = made[i + 1]
      return outcome === 'unknown' || (next && Date.parse(next.started_at) < Date.parse(finished_at!))
    })
    expect({ identity, outcomes, wasLost }).toEqual({
      identity,
      outcomes: expect.arrayContaining(['accepted']),
      wasLost: true,
    })
  }
  const lost = await pool.query<{ n: bigint }>(`select count(*) as n from attempt where outcome = 'unknown'`)
  return {
    recorded: rows.length,
    arrived: arrived.length,
    repeated: repeated.size,
    attemptsLost: Number(lost.rows[0]!.n),
  }
}
