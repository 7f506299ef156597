import { beforeAll, describe, expect, it } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import type { Pool } from '@annals/platform/postgres'
import { BrokenSeal, createKeyReader, masterKeysOf, sealText, UnknownSubject } from '@annals/platform/subject-keys'
import { testScope } from '@annals/platform/testing'
import { master, masters, people } from '../support/facts'
import { notifierDatabase } from '../support/servers'

const scope = testScope('file')
let pool: Pool
beforeAll(async () => {
  pool = (await scope.database(notifierDatabase)).pool
})

describe('opening with keys that leave the cache', () => {
  // A mail that is not sent because its recipient only seemed erased is never sent.
  it('never takes a key that expired meanwhile for one that was destroyed', async () => {
    const crowd = people()
    const parts = Array.from({ length: 200 }, () => {
      const subject = randomUUID()
      const sealed = sealText(JSON.stringify({ name: subject }), crowd.keyOf(subject), 'context')
      return { tenant: 'main', subject, context: 'context', sealed }
    })
    await crowd.save(pool)
    const keys = createKeyReader(pool, masters, { cacheMs: 1 })
    for (let i = 0; i < 20; i++) {
      // Some are still cached from the round before, some have expired, some were never asked for.
      const asked = parts.slice(0, 10 * (i + 1))
      expect(await keys.openAll(asked)).toEqual(asked.map(({ subject }) => ({ name: subject })))
    }
  })

  it('tells a text that does not open from keys that do not', async () => {
    const crowd = people()
    const part = () => {
      const subject = randomUUID()
      return {
        tenant: 'main',
        subject,
        context: 'context',
        sealed: sealText('{"a":1}', crowd.keyOf(subject), 'context'),
      }
    }
    const [whole, moved, changed, none] = [part(), part(), part(), part()]
    await crowd.save(pool)
    const at = changed.sealed.length - 2
    const asked = [
      whole,
      { ...moved, context: 'another' },
      {
        ...changed,
        sealed: changed.sealed.slice(0, at) + (changed.sealed[at] === 'A' ? 'B' : 'A') + changed.sealed.slice(at + 1),
      },
      { ...none, sealed: '' },
    ]
    const broken = expect.any(BrokenSeal)
    expect(await createKeyReader(pool, masters).openAll(asked)).toEqual([{ a: 1 }, broken, broken, broken])
    // Another master key opens no key at all: that is a fault of the configuration, not of thousands of events.
    const other = { ...masters, of: () => ({ id: master.id, key: Buffer.alloc(32, 9) }) }
    await expect(createKeyReader(pool, other).openAll([whole])).rejects.not.toBeInstanceOf(BrokenSeal)
  })

  it('tells a key that was destroyed from one that was never there', async () => {
    const crowd = people()
    const part = () => {
      const subject = randomUUID()
      return { tenant: 'main', subject, context: 'context', sealed: sealText('{}', crowd.keyOf(subject), 'context') }
    }
    const erased = part()
    await crowd.destroy(pool)
    const keys = createKeyReader(pool, masters)
    expect(await keys.openAll([erased])).toEqual([null])
    expect(await keys.openAll([erased, part()])).toEqual([null, expect.any(UnknownSubject)])
  })

  it('takes a row for lost only in a table that has keys of others, which open', async () => {
    const empty = await scope.database(notifierDatabase)
    const asked: string[] = []
    const keysOf = (of: Pool, key = masters) =>
      createKeyReader(of, key, { onMissing: (subject) => void asked.push(subject) })
    const [one, other] = [people(), people()]
    const part = (crowd = one) => {
      const subject = randomUUID()
      return { tenant: 'main', subject, context: 'context', sealed: sealText('{}', crowd.keyOf(subject), 'context') }
    }
    const lost = part()
    await expect(keysOf(empty.pool).openAll([lost])).rejects.toThrow(UnknownSubject)
    expect(asked).toEqual([])
    part(other)
    await other.save(empty.pool)
    expect(await keysOf(empty.pool).openAll([lost])).toEqual([expect.any(UnknownSubject)])
    expect(asked).toEqual([lost.subject])
    // The rows of others are another system's: they do not open.
    await expect(keysOf(empty.pool, masterKeysOf([Buffer.alloc(32, 9)])).openAll([lost])).rejects.toThrow(
      UnknownSubject,
    )
    await one.save(empty.pool)
    expect(await keysOf(empty.pool).openAll([lost])).toEqual([{}])
  })
})
