import type { EventEmitter } from 'node:events'
import type { Pool, PoolClient } from 'pg'

/** Longest waits of every pool, in ms, unless it says otherwise; docs/remote-calls.md holds them beside all others. */
export const postgresDeadlines = {
  /** For a connection, new or free, ready to be asked. */
  connectMs: 5_000,
  /** For the answer to a statement, on our side: what the server does not say by then it will not say. */
  queryMs: 15_000,
  /** For a statement, on the server's side: a little below, so that a server which lives is the one that says so. */
  statementMs: 14_000,
  /** Between two statements of a transaction: whoever is stopped there (Ctrl-Z, a frozen host) lets go of what others wait for. */
  idleInTransactionMs: 10_000,
  /** For what is known to be long: an index, a checksum of a whole read model. */
  longStatementMs: 3_600_000,
  /** Between signs of life on a connection that is otherwise still, so that a host which is gone is noticed. */
  keepAliveMs: 10_000,
} as const

/** How much longer than the server's deadline ours is, where a call sets the server's. */
const graceMs = 1_000
/** A goodbye that is not answered by then is not waited for. */
const goodbyeMsMax = 2_000

/** How it is told of an idle connection that nobody trusts any more. */
export const besideSilence = 'a connection beside it fell silent'

/** What pg says when its `query_timeout` has passed. */
const isSilence = (error: unknown): boolean => error instanceof Error && error.message === 'Query read timeout'

/** Our deadline for a pool whose server ends statements after `statementMs`. */
export const queryMsFor = (statementMs: number): number => statementMs + graceMs

/**
 * Throws connections away that did not answer in time. pg itself only gives the query up: its connection stays, whatever is
 * asked on it next stands in line behind the lost answer. With it go all idle connections that have not been heard since the
 * question: a failover silences all together, and one by one they would cost a deadline each.
 */
export function throwAwaySilent(pool: Pool, onSilence: (thrownAway: number) => void): void {
  /** By when they were heard last, in ms of the process. */
  const idle = new Map<PoolClient, number>()
  /** When each was last asked something. */
  const askedAt = new WeakMap<PoolClient, number>()

  function distrust(silent: PoolClient): void {
    const since = askedAt.get(silent) ?? 0
    let thrownAway = 1
    for (const [client, heardAt] of idle) {
      if (heardAt > since) continue
      thrownAway++
      idle.delete(client)
      // The pool hears of the error, as of any idle connection that broke, and forgets it.
      client.connection.stream.destroy(new Error(besideSilence))
    }
    onSilence(thrownAway)
  }

  pool.on('acquire', (client) => idle.delete(client))
  pool.on('remove', (client) => idle.delete(client))
  pool.on('release', (error: unknown, client) => {
    if (!error) idle.set(client, performance.now())
    // What `pool.query` has met: the pool itself ends that connection.
    else if (isSilence(error) && !client.connection.stream.destroyed) distrust(client)
  })
  pool.on('connect', (client) => {
    endInTime(client)
    const silent = (error: unknown) => {
      if (!isSilence(error) || client.connection.stream.destroyed) return
      distrust(client)
      // Whatever stands in line behind the lost answer, a `rollback` as a rule, fails at once; what was sent rolls back.
      client.connection.stream.destroy(error as Error)
    }
    const query = client.query.bind(client) as (...args: unknown[]) => unknown
    client.query = ((...args: unknown[]) => {
      askedAt.set(client, performance.now())
      const answer = query(...args)
      if (answer instanceof Promise) answer.catch(silent)
      // A COPY tells by an event.
      else if (isEmitter(answer)) answer.once('error', silent)
      return answer
    }) as typeof client.query
  })
}

/** pg says goodbye and waits for the server to close: on a dead connection the socket would stay for ever. */
function endInTime(client: PoolClient): void {
  const end = client.end.bind(client) as (...args: unknown[]) => unknown
  client.end = ((...args: unknown[]) => {
    const { stream } = client.connection
    setTimeout(() => stream.destroy(), goodbyeMsMax).unref()
    return end(...args)
  }) as typeof client.end
}

const isEmitter = (value: unknown): value is EventEmitter =>
  typeof value === 'object' && value !== null && 'once' in value
