import { randomBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { createKeyReader, masterKeysOf, sealText, wrapKey } from '@annals/platform/subject-keys'

const masters = masterKeysOf([randomBytes(32)])
const [masterId] = masters.ids
const key = randomBytes(32)
const sealed = sealText('{"name":"Anna"}', key, 'context')
const part = { tenant: 'main', subject: 'anna', context: 'context', sealed }

/** A table with one person in it, and how often it is asked. */
function world() {
  const row = {
    tenant: 'main',
    subject: 'anna',
    wrapped_key: wrapKey(key, masters.of(masterId!), 'main|anna') as Buffer | null,
    master_key_id: masterId,
  }
  let queries = 0
  const pool = {
    async query(_text: string, [, subjects]: [unknown, string | string[]]) {
      queries++
      return { rows: [subjects].flat().includes('anna') ? [row] : [] }
    },
  }
  const reader = createKeyReader(pool as unknown as Parameters<typeof createKeyReader>[0], masters)
  return {
    reader,
    destroy: () => (row.wrapped_key = null),
    async queriesOf(work: () => Promise<unknown>) {
      const before = queries
      await work()
      return queries - before
    },
  }
}

describe('looking a key up', () => {
  it('is one query, whether the key is at hand, is not, or never was there', async () => {
    const { reader, queriesOf } = world()
    expect(await queriesOf(() => reader.lookUp('main', 'anna'))).toBe(1)
    expect(await queriesOf(() => reader.lookUp('main', 'anna'))).toBe(1)
    expect(await queriesOf(() => reader.lookUp('main', 'nobody'))).toBe(1)
  })

  it('has the key at hand for what is opened next', async () => {
    const { reader, queriesOf } = world()
    await reader.lookUp('main', 'anna')
    expect(await queriesOf(async () => expect(await reader.openAll([part])).toEqual([{ name: 'Anna' }]))).toBe(0)
  })

  it('forgets a key that was destroyed', async () => {
    const { reader, destroy } = world()
    await reader.lookUp('main', 'anna')
    destroy()
    expect(await reader.openAll([part])).toEqual([{ name: 'Anna' }])
    await reader.lookUp('main', 'anna')
    expect(await reader.openAll([part])).toEqual([null])
  })
})
