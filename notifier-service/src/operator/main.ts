import { hostname, userInfo } from 'node:os'
import { parseArgs } from 'node:util'
import { field } from '@annals/platform/config'
import { createEventLog } from '@annals/platform/event-log'
import { createPool, type Pool } from '@annals/platform/postgres'
import { runOnce, type OnceContext } from '@annals/platform/process'
import { z } from 'zod'
import { acceptDeliveries, acceptLog, NothingToAccept } from '../set-back/accept'
import { watchLog } from '../set-back/log-watch'
import { statusOf } from '../set-back/status'

const usage = `npm run notifier -- <command>

  status             shows whether the notifier is stopped from reading or
                     sending, and why. Also shows earlier decisions. Exit code 3
                     when it is stopped
  accept-deliveries  continues with deliveries that were set back
                       --mails repeat  sends mails again that may have been sent
                                       already, under the same Message-ID
                       --mails skip    records those mails as skipped
                     Text messages that may have been sent are never repeated:
                     they are recorded as unknown
  accept-log         accepts the event log as it is now, and reads it from its
                     beginning. No recorded message is sent again

  --why <text>   the reason; recorded. Required with accept-…
  --as <who>     who is recorded as having decided (default: user@host)
  --json         prints JSON

exit codes: 0 done, 1 failed, 2 wrong call, 3 held or refused (status),
            4 there was nothing to accept`

class WrongCall extends Error {}

const exitCodes = { done: 0, failed: 1, usage: 2, held: 3, nothingToAccept: 4 } as const

interface Call {
  command: 'status' | 'accept-deliveries' | 'accept-log'
  mails: 'repeat' | 'skip' | undefined
  why: string
  who: string
  json: boolean
}

function readCall(args: readonly string[]): Call | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        mails: { type: 'string' },
        why: { type: 'string' },
        as: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    })
    if (values.help) return undefined
    const command = z.enum(['status', 'accept-deliveries', 'accept-log']).safeParse(positionals[0])
    if (!command.success || positionals.length > 1)
      throw new WrongCall(`unknown command: ${positionals.join(' ') || '(none)'}`)
    const mails = z.enum(['repeat', 'skip']).optional().safeParse(values.mails)
    if (!mails.success) throw new WrongCall('--mails is repeat or skip')
    if ((command.data === 'accept-deliveries') !== (mails.data !== undefined))
      throw new WrongCall('--mails repeat|skip belongs to accept-deliveries, which requires it')
    const why = values.why?.trim() ?? ''
    if (command.data !== 'status' && why === '') throw new WrongCall('--why must give the reason; it is recorded')
    const who = values.as ?? `${userInfo().username}@${hostname()}`
    return { command: command.data, mails: mails.data, why, who, json: values.json ?? false }
  } catch (error) {
    throw error instanceof WrongCall ? error : new WrongCall((error as Error).message)
  }
}

const print = (text: string) => process.stdout.write(`${text}\n`)

async function status(pool: Pool, json: boolean): Promise<number> {
  const found = await statusOf(pool)
  const { deliveriesHeld, logRefused, unread, actions } = found
  if (json) print(JSON.stringify(found))
  else {
    if (deliveriesHeld) print(deliveriesHeld)
    if (logRefused) print(logRefused)
    if (!deliveriesHeld && !logRefused) print('the notifier is not stopped: it reads and sends')
    for (const { type, count } of unread) print(`${count} ${type} wait for a release that knows this type`)
    for (const { at, who, action, why } of actions) print(`${at} ${who} ${action}: ${why}`)
  }
  return deliveriesHeld || logRefused ? exitCodes.held : exitCodes.done
}

const Config = z.object({
  NOTIFIER_DATABASE_URL: field.url('postgres', 'postgresql'),
  EVENTSTORE_URL: field.url('esdb', 'esdb+discover'),
})

async function run(
  { command, mails, why, who, json }: Call,
  { config, log, scope }: OnceContext<z.output<typeof Config>>,
): Promise<number> {
  const pool = scope.add('PostgreSQL', createPool(config.NOTIFIER_DATABASE_URL, log, 1), (it) => it.end())
  if (command === 'status') return status(pool, json)
  if (command === 'accept-deliveries') {
    const accepted = await acceptDeliveries(pool, mails!, { who, why })
    const { witnesses, repeated, skipped, unknown } = accepted
    if (json) print(JSON.stringify(accepted))
    else {
      print(`accepted, recorded as decided by ${who}: the notifier goes on by itself`)
      for (const { place, offset } of witnesses)
        print(`  ${place.topic}/${place.partition} is read again up to offset ${offset}, its mails: ${mails}`)
      print(`  of the deliveries on record: ${repeated} mails are sent, ${skipped} skipped, ${unknown} texts unknown`)
    }
    return exitCodes.done
  }
  const eventLog = scope.add('event log', createEventLog(config.EVENTSTORE_URL, log), (it) => it.close())
  // The notifier compares every 30 s: what an operator knows already, it may not have noticed yet.
  await watchLog({ pool, eventLog, log }).compare()
  const identity = await eventLog.identity()
  await acceptLog(pool, identity, { who, why })
  if (json) print(JSON.stringify({ identity: identity ?? null }))
  else print(`accepted, recorded as decided by ${who}: the notifier reads from the beginning, by itself`)
  return exitCodes.done
}

const operator = { name: 'notifier-operator', Config, env: process.env, logLevel: 'silent' }

async function main(): Promise<void> {
  try {
    const call = readCall(process.argv.slice(2))
    if (!call) print(usage)
    else process.exitCode = await runOnce(operator, (context) => run(call, context))
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(error instanceof WrongCall ? `${message}\n\n${usage}\n` : `${message}\n`)
    if (error instanceof WrongCall) process.exitCode = exitCodes.usage
    else process.exitCode = error instanceof NothingToAccept ? exitCodes.nothingToAccept : exitCodes.failed
  }
}

void main()
