import { streamOf, type FactorId, type FactorKind, type NewEvent, type Principal } from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import { stepOf, type CommandContext, type Request } from '../../core/command-context'
import { unborn, type Execute } from '../../core/execute'
import type { InFlight } from '../../core/in-flight'
import { createFactor, factorDecider } from '../domain/factor'
import { addFactor } from '../domain/factors'
import { personDecider, type Person } from '../domain/person'
import { ownAccount, userDecider, type Account } from '../domain/user'
import type { NamedFactor } from '../domain/factor-list'

type Secrets = Pick<NewEvent<'factor.created'>['data'], 'totpSecret' | 'codeHashes' | 'passkey'>
const noSecrets: Secrets = { totpSecret: null, codeHashes: null, passkey: null }

/** A factor that is being added. */
export interface Enrolled {
  factorId: FactorId
  kind: FactorKind
}

/**
 * The steps by which a person who is logged in gets a factor. What proves it comes first, on a stream of its own; the fact
 * on the user's stream makes it count. Killed in between, there is a secret that counts for nothing.
 */
export interface Enrolment {
  /** Runs a command of the person. @throws what the work throws; TooManyRequests; Overloaded. */
  run<T>(request: Request, principal: Principal, work: (context: CommandContext) => Promise<T>): Promise<T>
  /** @throws Rejected `user-not-found`, `account-disabled`, `session-ended`. */
  personOf(principal: Principal): Promise<{ account: Account; person: Person }>
  create(factor: Enrolled, principal: Principal, secrets: Partial<Secrets>, context: CommandContext): Promise<void>
  /** @throws Rejected as {@link addFactor} does. */
  add(factor: Enrolled, bearer: Principal, label: string | null, context: CommandContext): Promise<NamedFactor>
}

export interface EnrolmentDeps {
  execute: Execute
  inFlight: InFlight
  now: () => string
}

export function createEnrolment({ execute, inFlight, now }: EnrolmentDeps): Enrolment {
  return {
    run({ correlationId }, { userId }, work) {
      const commandId = newId()
      const actor = { type: 'user', id: userId } as const
      const context = { commandId, correlationId, causationId: commandId, actor, occurredAt: now() }
      return inFlight.run({ commandId, purpose: 'accounts', principal: userId }, () => work(context))
    },

    async personOf(principal) {
      const { state } = await execute.load(personDecider, streamOf.user(principal.userId))
      return { account: ownAccount(state.user, principal), person: state }
    },

    async create({ factorId, kind }, { userId }, secrets, context) {
      await execute(factorDecider, {
        stream: streamOf.factor(factorId),
        context: stepOf(context, 'create', factorId),
        decide: createFactor({ userId, factorId, kind, ...noSecrets, ...secrets }),
        known: unborn(factorDecider),
      })
    },

    async add({ factorId, kind }, bearer, label, context) {
      const at = context.occurredAt
      await execute(userDecider, {
        stream: streamOf.user(bearer.userId),
        context: stepOf(context, 'add', factorId),
        decide: addFactor({ bearer, factorId, kind, label, at }),
      })
      return { factorId, kind, label, addedAt: at }
    },
  }
}
