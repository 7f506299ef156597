import type { CountAttempt } from '../../core/attempts'
import type { Challenges } from '../challenges'
import type { Execute } from '../../core/execute'
import type { InFlight } from '../../core/in-flight'
import { createCeremonies } from './ceremonies'
import { createFactorCommands } from './commands/factors'
import { createPasskeyCommands } from './commands/passkeys'
import { createEnrolment } from './enrolment'
import { createFactorCheck } from './factor-check'
import { createRequestFactor } from './factor-request'
import { createPasskeys, type PasskeySettings } from './passkeys'

export interface FactorServiceDeps {
  execute: Execute
  challenges: Challenges
  inFlight: InFlight
  tenant: string
  now: () => string
  /** 32 bytes; keys of ceremonies are derived from it. */
  key: Buffer
  passkeySettings: PasskeySettings
  countAttempt: CountAttempt
}

/** All that second factors are made of, put together. */
export function createFactors(deps: FactorServiceDeps) {
  const { execute, challenges, inFlight, tenant, now, key, passkeySettings, countAttempt } = deps
  const ceremonies = createCeremonies(key, tenant)
  const passkeys = createPasskeys(passkeySettings)
  const enrolment = createEnrolment({ execute, inFlight, now })
  const factorCheck = createFactorCheck({ execute, challenges, ceremonies, passkeys, countAttempt })
  const productName = passkeySettings.rpName
  return {
    ceremonies,
    checkFactor: factorCheck.check,
    requestFactor: createRequestFactor({ execute, challenges, ceremonies, passkeys, countAttempt }),
    passkeyOptions: passkeys.loginOptions,
    factors: createFactorCommands({ execute, enrolment, factorCheck, productName }),
    passkeys: createPasskeyCommands({ execute, ceremonies, passkeys, enrolment, tenant }),
  }
}
