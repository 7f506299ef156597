import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { rateLimits, RateLimitSettings } from '../../src'

const read = (text?: string) => RateLimitSettings.safeParse(text)
const faultOf = (text: string) => read(text).error?.issues[0]?.message

describe('RATE_LIMITS', () => {
  it('that says nothing leaves the defaults', () => {
    const table = read().data!
    for (const [policy, { windows }] of Object.entries(rateLimits))
      expect(table[policy as keyof typeof rateLimits]).toEqual(windows)
    expect(read('').data).toEqual(table)
  })

  it('changes what it names, and nothing else', () => {
    const table = read('authentication.ip=20/30, general.ip=off,commands.endpoint=7/1').data!
    expect(table.authentication).toEqual({
      ip: { limit: 20, windowSeconds: 30 },
      account: rateLimits.authentication.windows.account,
    })
    expect(table.general).toEqual({})
    expect(table.commands.endpoint).toEqual({ limit: 7, windowSeconds: 1 })
    expect(rateLimits.general.windows.ip.limit).toBe(100)
  })

  it.each([
    'authentication',
    'authentication.ip',
    'authentication.ip=10',
    'authentication.ip=10/60/1',
    'authentication.ip=-1/60',
    'authentication.ip=1.5/60',
    'authentication.ip=on',
    'authentication.ip=10/60;mfa.account=1/10',
  ])('refuses what is not written so: %s', (text) => {
    expect(faultOf(text)).toMatch(/policy\.by=limit\/seconds/)
  })

  it('refuses policies, counts, limits and windows that there are not', () => {
    expect(faultOf('logins.ip=1/1')).toMatch(/must name a policy: general, authentication/)
    expect(faultOf('constructor.ip=1/1')).toMatch(/must name a policy/)
    expect(faultOf('none.ip=1/1')).toMatch(/must name a policy/)
    expect(faultOf('mfa.device=1/1')).toMatch(/by what it counts/)
    expect(faultOf('mfa.constructor=1/1')).toMatch(/by what it counts/)
    expect(faultOf('mfa.account=0/10')).toMatch(/limits from 1/)
    expect(faultOf('mfa.account=1000001/10')).toMatch(/limits from 1 to 1000000/)
    expect(faultOf('mfa.account=1/0')).toMatch(/windows from 1/)
    expect(faultOf('mfa.account=1/86401')).toMatch(/windows from 1 to 86400/)
    expect(faultOf('mfa.account=1/10,mfa.account=2/10')).toMatch(/twice/)
  })
})

const docs = path.join(__dirname, '../../../docs')

it('are told by docs/abuse-control.md as they are', () => {
  const page = readFileSync(path.join(docs, 'abuse-control.md'), 'utf8')
  const told = [...page.matchAll(/^\| `([a-z-]+)` \| `([a-z]+)` \| (\d+) \| (\d+) \|$/gm)].map((line) => line.slice(1))
  const known = Object.entries(rateLimits).flatMap(([policy, { windows }]) =>
    Object.entries(windows).map(([by, { limit, windowSeconds }]) => [policy, by, String(limit), String(windowSeconds)]),
  )
  expect(told).toEqual(known)
})

interface Operation {
  operationId: string
  'x-permission': string
  'x-rate-limit': string
}

/** The documents are made from the routes; `npm run contracts -- check` compares them. */
describe('every route', () => {
  const operations = ['command', 'query', 'notifier'].flatMap((api) => {
    const { paths } = JSON.parse(readFileSync(path.join(docs, `api/${api}-api.openapi.json`), 'utf8'))
    return Object.values<Record<string, Operation>>(paths).flatMap((byMethod) =>
      Object.entries(byMethod).map(([method, operation]) => ({ ...operation, method })),
    )
  })

  it('names a policy', () => {
    expect(operations.length).toBeGreaterThanOrEqual(15)
    const names = Object.keys(rateLimits).filter((name) => name !== 'general')
    for (const operation of operations)
      expect([operation.operationId, names]).toEqual([
        operation.operationId,
        expect.arrayContaining([operation['x-rate-limit']]),
      ])
  })

  it('is counted, but for what caches keep', () => {
    const uncounted = operations.filter((operation) => operation['x-rate-limit'] === 'none')
    expect(uncounted.map(({ operationId }) => operationId)).toEqual(['jwks'])
  })

  it('that changes something for whoever comes names more than that it is a command', () => {
    const open = operations.filter((operation) => operation['x-permission'] === 'public' && operation.method !== 'get')
    expect(open.length).toBeGreaterThanOrEqual(3)
    for (const operation of open) expect(['commands', 'queries', 'none']).not.toContain(operation['x-rate-limit'])
  })
})
