import { userInfo } from 'node:os'
import { Command } from 'commander'
import { z } from 'zod'
import { builtInRoles, PaymentFailureCode, PaymentId, Role } from '@annals/contracts'
import { redisFields } from '@annals/platform/config'
import { createEventLog, type EventLog } from '@annals/platform/event-log'
import { createPool, type Pool } from '@annals/platform/postgres'
import { createRedis } from '@annals/platform/redis'
import { exitWithMessage, runOnce } from '@annals/platform/process'
import { masterKeysOf } from '@annals/platform/subject-keys'
import { createAddressHash, type AddressHash } from '../accounts/commands/registration'
import { anchorAudit } from '../audit/anchoring'
import { hasSeparateMasterKeys, logFields, separateMasterKeys } from '../api/config'
import { Rejected } from '../core/rejected'
import { createExecute, type Execute } from '../core/execute'
import { createKeyWriter } from '../core/key-writer'
import { endSessionsOf } from './end-sessions'
import { grantRoleTo } from './grant-role'
import { openRevocations, revocationFields } from './revocations'
import { rewrap, usesOf, wrappedKeysOf, type WrappedKeys } from './master-keys'
import { settlePayment } from './settle-payment'

interface Opened {
  log: EventLog
  execute: Execute
  addressHash: AddressHash
  operator: string
  at: string
}

const LogConfig = z
  .object({ ...logFields, ...redisFields, ...revocationFields })
  .refine(hasSeparateMasterKeys, separateMasterKeys)

/** Opens the log and what is sealed in it, does one thing, and closes them again. */
const withLog = <T>(work: (opened: Opened) => Promise<T>): Promise<T> =>
  runOnce({ name: 'operator', Config: LogConfig, env: process.env }, async ({ config, log, scope }) => {
    const eventLog = scope.add('event log', createEventLog(config.EVENTSTORE_URL, log), (open) => open.close())
    const pool = scope.add('PostgreSQL', createPool(config.COMMAND_DATABASE_URL, log, 1), (open) => open.end())
    const keys = createKeyWriter({
      pool,
      masters: masterKeysOf(config.MASTER_KEY),
      secretMasters: masterKeysOf(config.SECRETS_MASTER_KEY),
      log: eventLog,
    })
    const observe = { append: () => undefined, conflict: () => undefined }
    const executeDeps = { log: eventLog, keys, tenant: config.TENANT, observe }
    const redis = scope.add('Redis', createRedis(config.REDIS_URL, log, { ca: config.REDIS_TLS_CA }), (open) =>
      open.disconnect(),
    )
    const { load } = createExecute(executeDeps)
    const revocations = await openRevocations(scope, { redis, load, eventLog, log, config })
    const result = await work({
      log: eventLog,
      execute: createExecute({ ...executeDeps, watch: revocations }),
      addressHash: createAddressHash(config.RESERVATION_KEY, config.TENANT),
      operator: userInfo().username,
      at: new Date().toISOString(),
    })
    await revocations.told()
    return result
  })

/** What the commands about master keys need: the key table and its keys, not the log. */
const { COMMAND_DATABASE_URL, MASTER_KEY, SECRETS_MASTER_KEY } = logFields
const KeyConfig = z
  .object({ COMMAND_DATABASE_URL, MASTER_KEY, SECRETS_MASTER_KEY })
  .refine(hasSeparateMasterKeys, separateMasterKeys)

/** Opens the key table, goes through every kind of data key, and closes it. */
const withDataKeys = (work: (pool: Pool, keys: WrappedKeys) => Promise<void>): Promise<void> =>
  runOnce({ name: 'operator', Config: KeyConfig, env: process.env }, async ({ config, log, scope }) => {
    const pool = scope.add('PostgreSQL', createPool(config.COMMAND_DATABASE_URL, log, 1), (open) => open.end())
    for (const keys of wrappedKeysOf(config)) await work(pool, keys)
  })

async function showMasterKeys() {
  await withDataKeys(async (pool, keys) => {
    const words = { current: 'wraps new data keys', known: 'only unwraps', unknown: 'NOT CONFIGURED' }
    process.stdout.write(`${keys.setting}\n`)
    for (const { masterKeyId, dataKeys, state } of await usesOf(pool, keys))
      process.stdout.write(`  ${masterKeyId}  ${words[state].padEnd(19)}  ${counted(dataKeys)}\n`)
  })
}

async function rewrapKeys() {
  await withDataKeys(async (pool, keys) => {
    const { rewrapped, unknown, broken, brokenRows } = await rewrap(pool, keys)
    process.stdout.write(`${keys.setting}: ${counted(rewrapped)} wrapped anew under ${keys.masters.current.id}.\n`)
    for (const { masterKeyId, rows } of unknown)
      process.stderr.write(`${counted(rows)} left: wrapped by ${masterKeyId}, which ${keys.setting} does not hold.\n`)
    if (brokenRows > 0) process.stderr.write(`${counted(brokenRows)} left: they do not unwrap: ${broken.join(', ')}\n`)
    if (unknown.length > 0 || brokenRows > 0) process.exitCode = 1
  })
}

const counted = (count: number) => `${count} data key${count === 1 ? '' : 's'}`

const oneOf = <Schema extends z.ZodEnum>(schema: Schema, what: string, text: string): z.output<Schema> => {
  const result = schema.safeParse(text)
  if (result.success) return result.data
  throw new Error(`There is no ${what} "${text}"; there are: ${schema.options.join(', ')}.`)
}

async function grant(who: string, roleText: string) {
  const role = Role.safeParse(roleText).data
  if (role === undefined) throw new Error(`"${roleText}" is no name of a role.`)
  const granted = withLog(({ execute, addressHash, operator, at }) =>
    grantRoleTo(execute, addressHash, { who, role, operator, at }),
  )
  const { userId, granted: isNew } = await granted.catch((error: unknown) => {
    if (!(error instanceof Rejected)) throw error
    const missing = error.code === 'role-not-found' ? `role "${role}"` : `user "${who}"`
    throw new Error(`There is no ${missing}.`, { cause: error })
  })
  process.stdout.write(`${userId} ${isNew ? 'has now' : 'had already'} the role ${role}.\n`)
}

async function endSessions(who: string) {
  const ending = withLog(({ execute, addressHash, operator, at }) =>
    endSessionsOf(execute, addressHash, { who, operator, at }),
  )
  const userId = await ending.catch((error: unknown) => {
    throw error instanceof Rejected ? new Error(`There is no user "${who}".`, { cause: error }) : error
  })
  process.stdout.write(`All sessions of ${userId} are over.\n`)
}

async function settle(id: string, { charged, refused }: { charged?: string; refused?: string }) {
  const paymentId = PaymentId.safeParse(id)
  if (!paymentId.success) throw new Error(`"${id}" is no id of a payment.`)
  if ((charged === undefined) === (refused === undefined))
    throw new Error('Say what the payment gateway has on record: --charged <its reference>, or --refused <why>.')
  const proof =
    charged === undefined
      ? ({ outcome: 'refused', code: oneOf(PaymentFailureCode, 'reason', refused!) } as const)
      : ({ outcome: 'charged', reference: charged } as const)
  const settling = withLog(({ execute, operator, at }) =>
    settlePayment(execute, { paymentId: paymentId.data, proof, operator, at }),
  )
  const { status, settled } = await settling.catch((error: unknown) => {
    throw error instanceof Rejected
      ? new Error(`${id} is not being processed: ${error.code}.`, { cause: error })
      : error
  })
  process.stdout.write(`${id} ${settled ? 'is now' : 'was already'} ${status}.\n`)
}

async function anchorNow() {
  const { events, anchored: isNew } = await withLog(async ({ execute, log, at }) => {
    for (let events = 0, anchored = false; ;) {
      const turn = await anchorAudit({ log, execute, now: () => at })
      events += turn.events
      anchored ||= turn.anchored
      if (turn.isWhole) return { events, anchored }
    }
  })
  process.stdout.write(isNew ? `Anchored; ${events} events since the last anchor.\n` : 'Nothing new to anchor.\n')
}

new Command('operator')
  .description(
    "An operator's commands. What changes accounts or payments is a fact in the log, with the operator's name.",
  )
  .addCommand(
    new Command('grant-role')
      .description('Give a user a role. Tokens handed out before are refused; a refresh brings one that names it.')
      .argument('<who>', 'e-mail address or user id')
      .argument('<role>', `${Object.keys(builtInRoles).join(', ')}, or one that was defined`)
      .action(grant),
  )
  .addCommand(
    new Command('anchor-audit')
      .description('Anchor the audit trail in the log now, as the command API does all the time.')
      .action(anchorNow),
  )
  .addCommand(
    new Command('end-sessions')
      .description('End all sessions of a user: access tokens stop within two seconds.')
      .argument('<who>', 'e-mail address or user id')
      .action(endSessions),
  )
  .addCommand(
    new Command('settle-payment')
      .description(
        'Say what the payment gateway has on record of a payment that is unknown for ever. Look it up there first.',
      )
      .argument('<payment>', 'id of the payment')
      .option('--charged <reference>', "money was taken: the payment gateway's own name for the charge")
      .option('--refused <why>', `no money was taken: ${PaymentFailureCode.options.join(', ')}`)
      .action(settle),
  )
  .addCommand(
    new Command('master-keys')
      .description('Show which master keys are configured, and how many data keys each of them wraps.')
      .action(showMasterKeys),
  )
  .addCommand(
    new Command('rewrap-keys')
      .description(
        'Wrap every data key under the first master key of its setting, while everything runs. May be stopped and repeated. ' +
          'Exit code 1: some data keys could not be unwrapped, and were left.',
      )
      .action(rewrapKeys),
  )
  .parseAsync()
  .catch(exitWithMessage)
