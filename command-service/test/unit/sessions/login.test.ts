import { describe, expect, it, jest } from '@jest/globals'
import { InvalidCredentials } from '../../../src/core/faults'
import { createLogin, type LoginDeps } from '../../../src/sessions/commands/login'
import { createInFlight } from '../../../src/core/in-flight'

const request = { correlationId: 'c', idempotencyKey: undefined }
const from = { password: 'wrong', ip: '192.0.2.1', userAgent: null }

/** What a refused login reads, by address. */
async function readsOf(known: boolean) {
  const load = jest.fn(async ({ category }: { category: string }) => {
    const states: Record<string, unknown> = {
      email: known ? { status: 'reserved', userId: 'anna' } : { status: 'free' },
      user: known ? { status: 'active', credentialId: 'secret', roles: ['user'], epoch: 1 } : { status: 'none' },
      credential: known ? { status: 'set', passwordHash: 'hash' } : { status: 'none' },
    }
    return { state: states[category] }
  })
  const lookUp = jest.fn(async (_tenant: string, _subject: string) => undefined)
  const found: unknown[] = []
  const login = createLogin({
    execute: { load },
    keys: { lookUp },
    tenant: 'main',
    addressHash: (email: string) => email,
    inFlight: createInFlight({ max: 1, purposeMax: 1, principalMax: 1 }),
    async checkPassword({ find }: { find: () => Promise<unknown> }) {
      found.push(await find())
      return undefined
    },
  } as unknown as LoginDeps)
  await expect(login(request, { email: 'a@example.org', ...from })).rejects.toThrow(InvalidCredentials)
  return {
    streams: load.mock.calls.map(([{ category }]) => category),
    keys: lookUp.mock.calls.length,
    passwordHash: (found[0] as { passwordHash: string | null }).passwordHash,
  }
}

describe('a login', () => {
  it('reads as much of an unknown address as of a known one, its data key too', async () => {
    const [known, unknown] = [await readsOf(true), await readsOf(false)]
    expect(known).toEqual({ streams: ['email', 'user', 'credential'], keys: 1, passwordHash: 'hash' })
    expect(unknown).toEqual({ ...known, passwordHash: null })
  })
})
