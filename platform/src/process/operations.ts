import fastify, { type FastifyInstance } from 'fastify'
import { requestTime } from '../api/request-time'
import { gauge, type Registry } from '../metrics'

/** A dependency's check: resolves when it answers, throws when not. */
export type Check = () => Promise<unknown>

/** A check that has not answered by then counts as failed; below the usual probe timeout. */
const checkMsMax = 2_000

async function passes(check: Check): Promise<boolean> {
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

export interface Operations {
  /** Adds checks to those that `/readyz` asks. Their names appear in its answer. */
  ready(checks: Record<string, Check>): void
  /** Adds checks of what the process works without, though worse: `/readyz` names those that fail, and stays 200. */
  degraded(checks: Record<string, Check>): void
  /** What `/readyz` says now of what must answer, by the names of the checks. */
  results(): Promise<Record<string, boolean>>
  /** The three addresses; it does not listen. */
  app: FastifyInstance
}

/**
 * What operators and their tools ask a process, on a port that no client reaches. `GET /healthz`: the process lives.
 * `/readyz`: it does its work, and its dependencies answer (each request asks them); `degraded`, and 200 all the same, when one does
 * not that it can do without. `/metrics`: for Prometheus.
 */
export function createOperations(metrics: Registry): Operations {
  const checks = new Map<string, Check>()
  const spare = new Map<string, Check>()
  const resultsOf = async (asked: Map<string, Check>): Promise<Record<string, boolean>> =>
    Object.fromEntries(await Promise.all([...asked].map(async ([name, check]) => [name, await passes(check)])))
  const results = () => resultsOf(checks)

  // A scrape asks what `/readyz` asks, so that an alarm sees what a load balancer does.
  const help = '1 when this dependency of the process answers, as in /readyz'
  gauge(metrics, 'annals_process_ready', help, ['check'], async (it) => {
    for (const [check, passed] of Object.entries(await results())) it.set({ check }, passed ? 1 : 0)
  })

  const helpDegraded = '1 when the process works without this dependency, though worse, as in /readyz'
  gauge(metrics, 'annals_process_degraded', helpDegraded, ['check'], async (it) => {
    for (const [check, passed] of Object.entries(await resultsOf(spare))) it.set({ check }, passed ? 0 : 1)
  })

  const app = fastify({ logger: false, ...requestTime })
  app.get('/healthz', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const [needed, wanted] = await Promise.all([results(), resultsOf(spare)])
    const isReady = Object.values(needed).every(Boolean)
    const isWhole = Object.values(wanted).every(Boolean)
    const said = Object.fromEntries(
      Object.entries({ ...needed, ...wanted }).map(([name, ok]) => [name, ok ? 'ok' : 'failed']),
    )
    const status = isReady ? (isWhole ? 'ready' : 'degraded') : 'not-ready'
    return reply.code(isReady ? 200 : 503).send({ status, checks: said })
  })
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()))

  return {
    ready: (more) => Object.entries(more).forEach(([name, check]) => checks.set(name, check)),
    degraded: (more) => Object.entries(more).forEach(([name, check]) => spare.set(name, check)),
    results,
    app,
  }
}
