import fastify, { type FastifyInstance } from 'fastify'
import { gauge, type Registry } from '../metrics'
import { requestTime } from './request-time'

/** A dependency's check: resolves when it answers, throws when not. Names appear in the answer of `/readyz`. */
export type Readiness = Record<string, () => Promise<unknown>>

/** A check that has not answered by then counts as failed; below the usual probe timeout. */
const checkMsMax = 2_000

async function passes(check: () => Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), checkMsMax)
  })
  const result = check().then(
    () => true,
    () => false,
  )
  return Promise.race([result, late]).finally(() => clearTimeout(timer))
}

/** `GET /healthz` (the process lives), `/readyz` (its dependencies answer; asked anew every time), `/metrics` (Prometheus). */
export function addOperations(app: FastifyInstance, metrics: Registry, readiness: Readiness): void {
  async function results(): Promise<Record<string, boolean>> {
    const names = Object.keys(readiness)
    const passed = await Promise.all(names.map((name) => passes(readiness[name]!)))
    return Object.fromEntries(names.map((name, i) => [name, passed[i]!]))
  }

  // A scrape asks what `/readyz` asks, so that an alarm sees what a load balancer does.
  const help = '1 when this dependency of the process answers, as in /readyz'
  gauge(metrics, 'annals_process_ready', help, ['check'], async (it) => {
    for (const [check, passed] of Object.entries(await results())) it.set({ check }, passed ? 1 : 0)
  })

  app.get('/healthz', { logLevel: 'silent' }, async () => ({ status: 'ok' }))

  app.get('/readyz', { logLevel: 'silent' }, async (_request, reply) => {
    const passed = await results()
    const isReady = Object.values(passed).every(Boolean)
    const checks = Object.fromEntries(Object.entries(passed).map(([name, ok]) => [name, ok ? 'ok' : 'failed']))
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ready' : 'not-ready', checks })
  })

  app.get('/metrics', { logLevel: 'silent' }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.metrics()),
  )
}

/** The same three addresses for a process that has no API. */
export async function startOperationsServer(
  listen: { host: string; port: number },
  metrics: Registry,
  readiness: Readiness,
): Promise<FastifyInstance> {
  const app = fastify({ logger: false, ...requestTime })
  addOperations(app, metrics, readiness)
  await app.listen(listen)
  return app
}
