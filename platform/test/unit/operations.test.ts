import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createMetrics, type Registry } from '@annals/platform/metrics'
import { createOperations, type Operations } from '@annals/platform/process'

let metrics: Registry
let operations: Operations
const up = { postgres: true, redis: true }
const check = (name: keyof typeof up) => async () => {
  if (!up[name]) throw new Error(`${name} does not answer`)
}
const readyz = async () => {
  const { statusCode, body } = await operations.app.inject('/readyz')
  return { statusCode, ...JSON.parse(body) }
}

beforeAll(() => {
  metrics = createMetrics('test')
  operations = createOperations(metrics)
  operations.ready({ postgres: check('postgres') })
  operations.degraded({ redis: check('redis') })
})
afterAll(() => operations.app.close())

describe('/readyz', () => {
  it('is ready when all answers', async () => {
    expect(await readyz()).toEqual({ statusCode: 200, status: 'ready', checks: { postgres: 'ok', redis: 'ok' } })
  })

  it('is degraded, and 200, when something is away that the process works without', async () => {
    up.redis = false
    expect(await readyz()).toEqual({ statusCode: 200, status: 'degraded', checks: { postgres: 'ok', redis: 'failed' } })
    const told = await metrics.metrics()
    expect(told).toMatch(/annals_process_degraded\{check="redis",service="test"\} 1/)
    expect(told).toMatch(/annals_process_ready\{check="postgres",service="test"\} 1/)
    expect(told).not.toMatch(/annals_process_ready\{check="redis"/)
  })

  it('is not ready when something is away that it needs, whatever else is', async () => {
    up.postgres = false
    expect(await readyz()).toMatchObject({ statusCode: 503, status: 'not-ready' })
    up.redis = true
    expect(await readyz()).toMatchObject({ statusCode: 503, checks: { postgres: 'failed', redis: 'ok' } })
    up.postgres = true
    expect(await readyz()).toMatchObject({ statusCode: 200, status: 'ready' })
  })
})
