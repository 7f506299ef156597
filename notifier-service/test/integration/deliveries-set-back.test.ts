import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { Kafka, logLevel } from 'kafkajs'
import { pino } from 'pino'
import { eventually, requireEnv, testScope } from '@annals/platform/testing'
import { defineRule } from '../../src/rules/rule'
import { rules } from '../../src/rules/rules'
import { requireNotSetBack } from '../../src/set-back/deliveries-watch'
import { people, processed, registered, type Fact, type People } from '../support/facts'
import { deliveries, notifierStack } from '../support/notifier'
import { backUp } from '../support/servers'

const scope = testScope()
let stack: Awaited<ReturnType<typeof notifierStack>>
let crowd: People

beforeEach(async () => {
  stack = await notifierStack(scope)
  crowd = people()
}, 60_000)

async function publish(facts: Fact[]): Promise<void> {
  await crowd.save(stack.pool)
  await stack.topics.publish(facts)
}

const stateOf = async (recipient: string, rule = 'welcome') => {
  const rows = (await deliveries(stack.pool, recipient)).filter((row) => row.rule === rule)
  return rows.map(({ state, reason }) => [state, reason])
}
const accepted = (users: readonly { userId: string }[]) =>
  eventually(
    async () => {
      for (const { userId } of users) expect(await stateOf(userId)).toEqual([['accepted', '250']])
    },
    { withinMs: 30_000 },
  )
const held = () =>
  eventually(() => expect(requireNotSetBack(stack.pool)).rejects.toThrow('set back'), { withinMs: 40_000 })
const mailsTo = async (user: { email: string }) =>
  (await stack.mail.mails(user.email)).map(({ messageId }) => messageId)

/** What an operator types. */
function operator(...args: string[]) {
  const main = path.join(__dirname, '../../dist/operator/main.js')
  const env = { ...process.env, NOTIFIER_DATABASE_URL: stack.url, EVENTSTORE_URL: stack.store.url }
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { env, encoding: 'utf8' })
  return { status, stdout, stderr }
}

const texts = defineRule({
  name: 'text',
  on: 'user.registered',
  channel: 'sms',
  template: 'welcome.v1',
  recipient: ({ data }) => data.userId,
  data: () => ({}),
})

const several = (count: number) => Array.from({ length: count }, () => registered(crowd))

describe('a database that was set back to a backup', () => {
  it('sends nothing until an operator has decided; then mails of the gap go out again under the same Message-ID', async () => {
    const [before, gap, later] = [several(12), several(12), several(12)]
    const notifier = await stack.start({ rules: [...rules, texts] })
    await publish(before)
    await accepted(before)
    const restore = await backUp(scope, stack.url)
    await publish(gap)
    await accepted(gap)
    await notifier.stop()
    await restore()
    // A restore of this database alone: the keys, which the test keeps in it, are another's.
    await crowd.save(stack.pool)

    const second = await stack.start({ rules: [...rules, texts] })
    await held()
    await publish(later)
    await eventually(async () =>
      expect(await second.registry.metrics()).toMatch(/partition_stopped\{.*reason="deliveries-set-back".*\} 1/),
    )
    for (const user of [...gap, ...later]) expect(await stateOf(user.userId)).toEqual([])
    expect(await stack.mail.mails()).toHaveLength(before.length + gap.length)
    expect(await second.registry.metrics()).toMatch(/annals_notifier_deliveries_held\{.*\} 1/)

    expect(operator('status')).toMatchObject({ status: 3, stdout: expect.stringContaining('--mails repeat') })
    expect(operator('accept-deliveries', '--mails', 'repeat')).toMatchObject({ status: 2 })
    const done = operator('accept-deliveries', '--mails', 'repeat', '--why', 'a drill', '--as', 'eve')
    expect(done).toMatchObject({ status: 0, stderr: '' })
    await accepted([...gap, ...later])
    for (const user of gap) {
      const [first, again] = await mailsTo(user)
      expect(again).toBe(first)
    }
    expect(await stack.mail.mails()).toHaveLength(before.length + 2 * gap.length + later.length)
    // Texts are told by no identity. What was open in the backup may have gone out since, like what is in the gap.
    for (const user of [...before, ...gap])
      expect(await stateOf(user.userId, 'text')).toEqual([['unknown', 'deliveries-set-back']])
    for (const user of later) expect(await stateOf(user.userId, 'text')).toEqual([['pending', null]])
    const { rows } = await stack.pool.query('select who, action, why from operator_action')
    expect(rows).toEqual([{ who: 'eve', action: 'accept-deliveries --mails repeat', why: 'a drill' }])
    expect(operator('status')).toMatchObject({ status: 0, stdout: expect.stringContaining('eve accept-deliveries') })
    expect(operator('accept-deliveries', '--mails', 'skip', '--why', 'again')).toMatchObject({ status: 4 })
  }, 180_000)

  it('is noticed by a notifier that runs, before anything goes out again; mails of the gap may be left out', async () => {
    // Few come later: partitions on which nothing does have to find out as well.
    const [before, gap, later] = [several(6), several(12), several(2)]
    const putOff = registered(crowd)
    const notifier = await stack.start({ mailSchedule: [8, 8] })
    await stack.mail.fail('defer', 1, putOff.email)
    await publish([...before, putOff])
    await accepted(before)
    await eventually(async () => expect(await stateOf(putOff.userId)).toEqual([['pending', '451']]))
    // In the backup it waits for its repeat, which goes out before the restore.
    const restore = await backUp(scope, stack.url)
    await publish(gap)
    await accepted([...gap, putOff])
    await restore()
    await crowd.save(stack.pool)

    await publish(later)
    await held()
    expect(operator('accept-deliveries', '--mails', 'skip', '--why', 'a drill')).toMatchObject({ status: 0 })
    await accepted(later)
    await eventually(
      async () => {
        for (const user of [...gap, putOff])
          expect(await stateOf(user.userId)).toEqual([['skipped', 'deliveries-set-back']])
      },
      { withinMs: 60_000 },
    )
    for (const user of [...gap, putOff]) expect(await mailsTo(user)).toHaveLength(1)
    expect(await stack.mail.mails()).toHaveLength(before.length + gap.length + later.length + 1)
    expect(notifier.breakers.get('email')).toBe('closed')
  }, 180_000)

  it('may be empty', async () => {
    const users = several(6)
    const notifier = await stack.start()
    await publish(users)
    await accepted(users)
    await notifier.stop()
    await stack.pool.query('truncate delivery, attempt, checkpoint, stream_revision, recipient, log_state')
    // Each process names the choices, also the one that finds the deliveries held.
    for (let start = 0; start < 2; start++) {
      const lines: string[] = []
      const log = pino({ level: 'fatal' }, { write: (line) => void lines.push(line) })
      const second = await stack.start({ log })
      await eventually(() => expect(lines.join('')).toContain('npm run notifier -- accept-deliveries --mails skip'))
      await second.stop()
      expect(lines).toHaveLength(1)
    }
    await stack.start()
    await held()
    expect(await stack.mail.mails()).toHaveLength(users.length)
    expect(operator('accept-deliveries', '--mails', 'skip', '--why', 'a new database')).toMatchObject({ status: 0 })
    await eventually(async () => {
      for (const { userId } of users) expect(await stateOf(userId)).toEqual([['skipped', 'deliveries-set-back']])
    })
    expect(await stack.mail.mails()).toHaveLength(users.length)
  }, 90_000)
})

describe('a process of the former release', () => {
  it('holds and releases deliveries by the former name of the table', async () => {
    await stack.pool.query(`insert into ledger_hold (witnesses) select '[]'::jsonb on conflict do nothing`)
    await expect(requireNotSetBack(stack.pool)).rejects.toThrow('set back')
    const { rows } = await stack.pool.query('delete from ledger_hold returning witnesses')
    expect(rows).toEqual([{ witnesses: [] }])
    await expect(requireNotSetBack(stack.pool)).resolves.toBeUndefined()
    const gap = `insert into ledger_gap (topic, partition, topic_id, until_offset, until_position, until_at, mails)
      values ('t', 0, 'id', 1, 1, now(), $1)
      on conflict (topic, partition) do update set mails = excluded.mails, accepted_at = now()`
    for (const mails of ['repeat', 'skip']) await stack.pool.query(gap, [mails])
    expect((await stack.pool.query('select mails from deliveries_gap')).rows).toEqual([{ mails: 'skip' }])
  })
})

describe('a database that nobody set back', () => {
  it('goes on when the witness is behind, as after a kill between the two commits, or gone, as after Kafka was emptied', async () => {
    const users = several(6)
    const first = await stack.start()
    await publish(users)
    await accepted(users)
    await first.stop()
    // The database is ahead of the witness.
    await stack.pool.query('update checkpoint set moves = moves + 1')
    const second = await stack.start()
    const more = several(6)
    await publish(more)
    await accepted(more)
    await second.stop()

    const admin = new Kafka({
      brokers: requireEnv('KAFKA_BROKERS').split(','),
      clientId: 'test',
      logLevel: logLevel.NOTHING,
    }).admin()
    await admin.connect()
    await eventually(() => admin.deleteGroups([stack.group]))
    await admin.disconnect()
    await stack.topics.remake()
    await publish([...users, ...more, ...several(1)])
    await stack.start()
    const last = [registered(crowd)]
    await publish([...last, processed(crowd, last[0]!.userId)])
    await accepted(last)
    await expect(requireNotSetBack(stack.pool)).resolves.toBeUndefined()
    for (const user of [...users, ...more]) expect(await mailsTo(user)).toHaveLength(1)
  }, 120_000)
})
