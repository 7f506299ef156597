import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { placeOf, publishedPrefixes, streamOf, type ChainHead } from '@annals/contracts'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { nextEntry, type ChainHead as Head } from '@annals/platform/hash-chain'
import { testScope } from '@annals/platform/testing'
import type { z } from 'zod'
import { anchorAudit } from '../../../src/audit/anchoring'
import { createExecute } from '../../../src/core/execute'
import { silent } from '../../support/database'
import { nobodysKeys } from '../../support/keys'

const scope = testScope()
let log: EventLog
beforeEach(async () => {
  const store = await scope.eventStore()
  log = scope.add(createEventLog(store.url, silent), (it) => it.close())
})

const observe = { append: () => undefined, conflict: () => undefined }
const deps = (now = '2026-11-27T12:00:00.000Z', own: Pick<EventLog, 'readAll'> = log) => ({
  log: own,
  execute: createExecute({ log, keys: nobodysKeys, tenant: 'main', observe }),
  now: () => now,
})

async function facts(count: number) {
  for (let i = 0; i < count; i++)
    await log.append(
      streamOf.user(randomUUID()),
      [{ id: randomUUID(), type: 'user.role_granted', data: { n: i }, metadata: { tenant: 'main' } }],
      -1,
    )
}

/** What the chains are, from the first event, without anchors. */
async function chains(): Promise<Map<string, Head>> {
  const heads = new Map<string, Head>()
  for await (const event of log.readAll({ after: undefined, prefixes: publishedPrefixes })) {
    const place = placeOf(event.stream)!
    const name = `${place.topic}/${place.partition}`
    heads.set(name, nextEntry(place, heads.get(name), event).head)
  }
  return heads
}

const anchorsOf = async (month: string) =>
  (await log.readStream(streamOf.auditAnchors(month))).map(({ data }) => {
    const { heads } = data as { heads: z.infer<typeof ChainHead>[] }
    return new Map(heads.map(({ topic, partition, sequence, hash }) => [`${topic}/${partition}`, { sequence, hash }]))
  })

const plain = (heads: Map<string, Head>) =>
  new Map([...heads].map(([name, { sequence, hash }]) => [name, { sequence: Number(sequence), hash }]))

describe('anchoring', () => {
  it('says where all chains stand, and goes on from there', async () => {
    await facts(20)
    expect(await anchorAudit(deps())).toEqual({ events: 20, anchored: true, isWhole: true })
    const first = plain(await chains())
    await facts(7)
    // Only what is new is read.
    expect(await anchorAudit(deps())).toEqual({ events: 7, anchored: true, isWhole: true })
    expect(await anchorsOf('2026-11')).toEqual([first, plain(await chains())])
  })

  it('appends nothing when nothing is new', async () => {
    expect(await anchorAudit(deps())).toMatchObject({ events: 0, anchored: false })
    await facts(2)
    await anchorAudit(deps())
    expect(await anchorAudit(deps())).toEqual({ events: 0, anchored: false, isWhole: true })
    expect(await anchorsOf('2026-11')).toHaveLength(1)
  })

  it('goes on in the stream of another month', async () => {
    await facts(3)
    await anchorAudit(deps('2026-11-30T23:59:00.000Z'))
    await facts(3)
    expect(await anchorAudit(deps('2027-01-01T00:01:00.000Z'))).toMatchObject({ events: 3, anchored: true })
    expect(await anchorsOf('2027-01')).toEqual([plain(await chains())])
  })

  it('makes one anchor of what many processes read at the same time', async () => {
    await facts(10)
    const made = await Promise.all(Array.from({ length: 4 }, () => anchorAudit(deps())))
    expect(made.every(({ events }) => events === 10)).toBe(true)
    expect(await anchorsOf('2026-11')).toEqual([plain(await chains())])
  })

  it('changes nothing when the log falls silent in the middle', async () => {
    await facts(5)
    const silentLog = {
      async *readAll(extent: Parameters<EventLog['readAll']>[0]) {
        let left = 3
        for await (const event of log.readAll(extent)) {
          if (left-- === 0) throw new Error('no answer')
          yield event
        }
      },
    }
    await expect(anchorAudit(deps(undefined, silentLog))).rejects.toThrow('no answer')
    expect(await anchorsOf('2026-11')).toEqual([])
    expect(await anchorAudit(deps())).toMatchObject({ events: 5, anchored: true })
  })
})
