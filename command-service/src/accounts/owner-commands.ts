import type { Logger } from '@annals/platform/log'
import { createBackground } from '../core/background'
import { createAccountCommands, type AccountCommandDeps } from './account-command'
import { createEmailCommands, type EmailCommandDeps } from './commands/email'
import { createForgottenPassword, type ForgottenPasswordDeps } from './commands/forgotten-password'
import { createPasswordCommands, type PasswordCommandDeps } from './commands/passwords'
import { createProfileCommands } from './commands/profile'
import { createRecordPassword, type RecordPasswordDeps } from './new-credential'
import { createCheckOwnPassword, type OwnPasswordDeps } from './own-password'

type Made = 'commands' | 'checkOwnPassword' | 'recordPassword' | 'background'

export type OwnerCommandDeps = AccountCommandDeps &
  OwnPasswordDeps &
  RecordPasswordDeps &
  Omit<PasswordCommandDeps & ForgottenPasswordDeps & EmailCommandDeps, Made> & {
    log: Logger
  }

/** Each waits for a quarter of a second, and takes three appends: some thirty a second. What an attack asks for in half a minute may wait. */
const linksAtOnce = 8
const linksWaitingMax = 1_000

/** All that owners do to their accounts once they have them. `background` is to be closed before what it needs. */
export function createOwnerCommands({ log, ...shared }: OwnerCommandDeps) {
  const commands = createAccountCommands(shared)
  const checkOwnPassword = createCheckOwnPassword(shared)
  const recordPassword = createRecordPassword(shared)
  const background = createBackground({
    log,
    name: 'links for new passwords',
    concurrency: linksAtOnce,
    waitingMax: linksWaitingMax,
  })
  const deps = { ...shared, commands, checkOwnPassword, recordPassword, background }
  return {
    commands,
    checkOwnPassword,
    background,
    forgottenPassword: createForgottenPassword(deps),
    passwordCommands: createPasswordCommands(deps),
    emailCommands: createEmailCommands(deps),
    profileCommands: createProfileCommands(deps),
  }
}
