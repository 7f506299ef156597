import { afterAll, describe, expect, it } from '@jest/globals'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually, uniqueName } from '@annals/platform/testing'
import { failed, master, people, processed, registered, type Fact } from '../support/facts'
import { attempts, deliveries, mailFrom } from '../support/notifier'
import { MailServer, Opened, ownDatabase, ownTopics } from '../support/servers'

const main = path.join(__dirname, '../../dist/main.js')
const kills = 5
const factsPerRound = 60

const opened = new Opened()
afterAll(() => opened.close())

describe('a notifier that is killed again and again', () => {
  it('records each intended mail exactly once, misses none, and repeats only under the same Message-ID', async () => {
    if (!existsSync(main)) throw new Error('notifier-service is not built: run `npm run build` first')
    const [{ pool, url }, topics, mail] = await Promise.all([
      ownDatabase(opened),
      ownTopics(opened),
      MailServer.start(opened),
    ])
    const env = {
      ...process.env,
      NOTIFIER_DATABASE_URL: url,
      SUBJECT_KEYS_DATABASE_URL: url,
      MASTER_KEY: master.key.toString('base64'),
      NOTIFIER_TOPICS: `${topics.users},${topics.payments}`,
      NOTIFIER_GROUP: uniqueName('test.notifier'),
      SMTP_URL: mail.smtpUrl,
      MAIL_FROM: mailFrom,
      MAIL_CONCURRENCY: '3',
      MAIL_RETRY_SECONDS: '1,1,1,1,1,1,1,1,1,1',
      HTTP_PORT: '0',
      LOG_LEVEL: 'warn',
    }
    let running: ChildProcess | undefined
    const start = () => {
      running = spawn(process.execPath, [main], { env, stdio: 'ignore' })
    }
    const kill = async () => {
      const child = running!
      expect(child.exitCode).toBeNull()
      child.kill('SIGKILL')
      await once(child, 'exit')
      running = undefined
    }
    opened.add(undefined, () => running && kill())
    const count = async (table: 'delivery' | 'attempt') =>
      Number((await pool.query<{ n: bigint }>(`select count(*) as n from ${table}`)).rows[0]!.n)

    const crowd = people()
    const intended = new Map<string, Fact>()
    for (let round = 0; round < kills; round++) {
      const facts: Fact[] = []
      while (facts.length < factsPerRound) {
        const user = registered(crowd)
        // Payments before their user as well as after.
        facts.push(processed(crowd, user.userId), user, failed(crowd, user.userId))
      }
      await crowd.save(pool)
      for (const each of facts) intended.set(each.id, each)

      // Killed at a moment that nobody chose: while intents are recorded in one round, while mails go out in the next.
      const watched = round % 2 === 0 ? 'attempt' : 'delivery'
      const until = (await count(watched)) + 1 + Math.floor(Math.random() * 30)
      start()
      await topics.publish(facts)
      const deadline = Date.now() + 20_000
      while ((await count(watched)) < until && Date.now() < deadline) await delay(1)
      await kill()
    }
    start()

    await eventually(
      async () => {
        const rows = await deliveries(pool)
        expect(rows.filter(({ state }) => state !== 'accepted').length).toBe(0)
        expect(rows.length).toBe(intended.size)
      },
      { withinMs: 60_000 },
    )

    const rows = await deliveries(pool)
    const { rows: recorded } = await pool.query<{ event_id: string }>('select event_id from delivery')
    expect(new Set(recorded.map(({ event_id }) => event_id))).toEqual(new Set(intended.keys()))
    expect(new Set(rows.map(({ identity }) => identity)).size).toBe(intended.size)

    const mails = (await mail.mails()).map(({ messageId }) => messageId)
    expect(new Set(mails)).toEqual(new Set(rows.map(({ identity }) => identity)))
    // A mail that arrived twice belongs to a delivery whose ledger says so.
    const twice = new Set(mails.filter((id, i) => mails.indexOf(id) !== i))
    for (const { id, identity } of rows.filter(({ identity }) => twice.has(identity)))
      expect([identity, (await attempts(pool, id)).map(({ outcome }) => outcome)]).toEqual([
        identity,
        expect.arrayContaining(['unknown', 'accepted']),
      ])
    const lost = await pool.query(`select count(*) as n from attempt where outcome = 'unknown'`)
    process.stdout.write(
      `${kills} kills, ${intended.size} intended, ${rows.length} recorded, ${mails.length} mails arrived, ` +
        `${twice.size} of them repeated, ${(lost.rows[0] as { n: bigint }).n} attempts lost\n`,
    )
  }, 180_000)
})
