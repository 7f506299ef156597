import { userInfo } from 'node:os'
import { Command } from 'commander'
import { z } from 'zod'
import { Role } from '@annals/contracts'
import { readConfig } from '@annals/platform/config'
import { createEventLog } from '@annals/platform/event-log'
import { exitWithMessage, Scope } from '@annals/platform/lifecycle'
import { createLogger } from '@annals/platform/log'
import { createPool } from '@annals/platform/postgres'
import { createAddressHash } from '../commands/registration'
import { logFields } from '../config'
import { Rejected } from '../domain/rejected'
import { createExecute } from '../execution/execute'
import { masterKeyOf } from '../service'
import { createKeyWriter } from '../subject-keys/key-writer'
import { grantRoleTo } from './grant-role'

async function grant(who: string, roleText: string) {
  const role = Role.safeParse(roleText)
  if (!role.success) throw new Error(`There is no role "${roleText}"; there are: ${Role.options.join(', ')}.`)
  const config = readConfig(z.object(logFields), process.env)
  const log = createLogger('operator', 'warn')
  const scope = new Scope(log)
  try {
    const eventLog = scope.add('event log', createEventLog(config.EVENTSTORE_URL, log), (open) => open.close())
    const pool = scope.add('PostgreSQL', createPool(config.COMMAND_DATABASE_URL, log, 1), (open) => open.end())
    const keys = createKeyWriter({ pool, master: masterKeyOf(config.MASTER_KEY), log: eventLog })
    const observe = { append: () => undefined, conflict: () => undefined }
    const execute = createExecute({ log: eventLog, keys, tenant: config.TENANT, observe })
    const addressHash = createAddressHash(config.RESERVATION_KEY, config.TENANT)
    const operator = userInfo().username
    const at = new Date().toISOString()
    const { userId, granted } = await grantRoleTo(execute, addressHash, { who, role: role.data, operator, at })
    process.stdout.write(`${userId} ${granted ? 'has now' : 'had already'} the role ${role.data}.\n`)
  } catch (error) {
    throw error instanceof Rejected ? new Error(`There is no user "${who}".`, { cause: error }) : error
  } finally {
    await scope.close()
  }
}

new Command('operator')
  .description("An operator's commands; each is a fact in the log, with the operator's name.")
  .addCommand(
    new Command('grant-role')
      .description('Give a user a role. Tokens handed out before keep the roles that they name.')
      .argument('<who>', 'e-mail address or user id')
      .argument('<role>', Role.options.join(' or '))
      .action(grant),
  )
  .parseAsync()
  .catch(exitWithMessage)
