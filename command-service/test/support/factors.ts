import { setTimeout as delay } from 'node:timers/promises'
import { TOTP } from 'otpauth'
import { newEmail, password, somebody, type Person, type Reply, type TestService } from './service'

const stepMs = 30_000
/** A code is made and judged in the same step: near its end the next one is waited for. */
const marginMs = 3_000

/** @param steps from now on; one before and one after are taken. */
export async function totpCode(secret: string, steps: -1 | 0 | 1 = 0): Promise<string> {
  const left = stepMs - (Date.now() % stepMs)
  if (left < marginMs) await delay(left)
  return new TOTP({ secret }).generate({ timestamp: Date.now() + steps * stepMs })
}

export interface WithTotp extends Person {
  factorId: string
  secret: string
}

/** The first code is that of the step before: two more can be shown at once. */
export async function addTotp(service: TestService, person: Person): Promise<WithTotp> {
  const { token } = person
  const begun = await service.post('/api/v1/users/me/factors/totp', { token })
  if (begun.status !== 201) throw new Error(`no secret: ${JSON.stringify(begun.body)}`)
  const { factorId, secret } = begun.body
  const code = await totpCode(secret, -1)
  const body = { factorId, code, label: 'Phone' }
  const confirmed = await service.post('/api/v1/users/me/factors/totp/confirm', { token, body })
  if (confirmed.status !== 201) throw new Error(`not confirmed: ${JSON.stringify(confirmed.body)}`)
  return { ...person, factorId, secret }
}

export const somebodyWithTotp = async (service: TestService): Promise<WithTotp> =>
  addTotp(service, await somebody(service, newEmail()))

export interface HalfWay {
  challengeToken: string
  factors: { factorId: string; kind: string }[]
}

/** A login whose password was right. */
export async function halfWay(service: TestService, { email }: Pick<Person, 'email'>): Promise<HalfWay> {
  const { status, body } = await service.post('/api/v1/auth/login', { body: { email, password } })
  if (status !== 200 || !body.mfa) throw new Error(`no second factor is asked for: ${JSON.stringify(body)}`)
  return body.mfa
}

export const mfa = (service: TestService, body: unknown): Promise<Reply> => service.post('/api/v1/auth/mfa', { body })
