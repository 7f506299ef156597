import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { pause } from '@annals/platform/backoff'
import type { EventLog } from '@annals/platform/event-log'
import { eventually, testScope, typescriptProcess } from '@annals/platform/testing'
import { compare, nothingWrong, openRoute, readTopics, type Written } from './relay-world'

/** As many as wanted, for a distribution: `TAKEOVERS=30 node dev/commands/test.mjs --only integration relay/takeover`. */
const takeovers = Number(process.env['TAKEOVERS'] ?? 3)
const relays = 3
/** What is promised on a machine of its own is 5 s; here a test run may want both cores for itself. */
const takeoverMsMax = 20_000
const eventEveryMs = 20

const scope = testScope()

/** A relay as a process, with the role it said last. */
function startRelay(category: string) {
  let role = 'starting'
  const args = typescriptProcess(join(__dirname, 'relay-process.ts'), category)
  const relay = scope.process(args, { onLine: (line) => (role = line) })
  return { ...relay, role: () => role }
}
type RelayProcess = ReturnType<typeof startRelay>

/** Appends an event every 20 ms, to a few streams in turn, until it is stopped. */
function flow(eventLog: EventLog, category: string) {
  const streams = Array.from({ length: 12 }, () => ({ name: `${category}-${randomUUID()}`, revision: -1 }))
  const written: Written[] = []
  const stopping = new AbortController()
  const running = (async () => {
    for (let n = 0; !stopping.signal.aborted; n++) {
      const stream = streams[n % streams.length]!
      const id = randomUUID()
      const metadata = { schemaVersion: 1, tenant: 'test', occurredAt: new Date().toISOString() }
      await eventLog.append(stream.name, [{ id, type: 'relay.tested', data: { n }, metadata }], stream.revision)
      written.push({ id, stream: stream.name, revision: ++stream.revision })
      await pause(eventEveryMs, stopping.signal)
    }
  })()
  const stop = async () => {
    stopping.abort()
    await running
    return written
  }
  scope.onEnd(stop)
  return { written, stop }
}

async function leaderOf(running: readonly RelayProcess[]): Promise<RelayProcess> {
  return eventually(
    () => {
      const leaders = running.filter((relay) => relay.role() === 'leader')
      expect(leaders).toHaveLength(1)
      return leaders[0]!
    },
    { withinMs: 60_000 },
  )
}

const ways = ['killed', 'stopped', 'frozen'] as const

describe('a relay that stands by', () => {
  it(
    `takes over from one that is killed, stopped or frozen, ${takeovers} times, and nothing is lost, doubled or reordered`,
    async () => {
      const { category, route, eventLog } = await openRoute(scope)
      const reader = await readTopics(scope, route)

      // One after the other: each takes over as it comes, and the one before finds itself fenced.
      const running: RelayProcess[] = []
      const join = async () => {
        const relay = startRelay(category)
        await eventually(() => expect(relay.role()).toBe('leader'), { withinMs: 60_000 })
        running.push(relay)
      }
      const events = flow(eventLog, category)
      while (running.length < relays) await join()

      const took: { way: string; ms: number }[] = []
      for (let n = 0; n < takeovers; n++) {
        const way = ways[n % ways.length]!
        const leader = await leaderOf(running)
        const flowing = reader.seen.length
        await eventually(() => expect(reader.seen.length).toBeGreaterThan(flowing + 50), { withinMs: 60_000 })
        const others = running.filter((relay) => relay !== leader)

        const hitAt = performance.now()
        if (way === 'frozen') leader.signal('SIGSTOP')
        else await leader.end(way === 'killed' ? 'SIGKILL' : 'SIGTERM')
        // Until one of the others has published; what came meanwhile was the former's last word.
        await leaderOf(others)
        const before = reader.seen.length
        await eventually(() => expect(reader.seen.length).toBeGreaterThan(before), { withinMs: takeoverMsMax })
        took.push({ way, ms: Math.round(gapAfter(reader.at, hitAt)) })

        if (way === 'frozen') {
          leader.signal('SIGCONT')
          await eventually(() => expect(leader.role()).toBe('standby'), { withinMs: 30_000 })
        } else {
          running.splice(running.indexOf(leader), 1)
          await join()
        }
      }

      const written = await events.stop()
      await eventually(() => expect(reader.seen.length).toBeGreaterThanOrEqual(written.length), { withinMs: 60_000 })
      expect(compare(written, reader.seen)).toEqual(nothingWrong)
      // Jest prints its own results there, too.
      process.stderr.write(`${report(took)}\n`)
      expect(Math.max(...took.map(({ ms }) => ms))).toBeLessThan(takeoverMsMax)
    },
    60_000 + relays * 30_000 + takeovers * 60_000,
  )
})

/** @returns ms between the former's last record and the successor's first: the longest silence since it was hit. */
function gapAfter(at: readonly number[], hitAt: number): number {
  let longest = 0
  for (let i = at.length - 1; i > 0 && at[i]! > hitAt; i--) longest = Math.max(longest, at[i]! - at[i - 1]!)
  return longest
}

function report(took: readonly { way: string; ms: number }[]): string {
  const all = took.map(({ ms }) => ms).toSorted((a, b) => a - b)
  const median = all[Math.floor(all.length / 2)]
  const each = ways.map((way) => `${way} ${took.flatMap((one) => (one.way === way ? [one.ms] : [])).join(' ')}`)
  return `takeovers, ms without a record: ${each.join('; ')}. Median ${median}, longest ${all.at(-1)}`
}
