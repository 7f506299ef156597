import { join } from 'node:path'
import { chargesFileName } from '../sandboxes/payment-gateway/charges.mjs'
import { findRunning, launch, sendSignal, stop, waitReady } from './processes.mjs'
import { becomesFree, freePorts, root } from '../profile.mjs'
import { Trouble } from '../terminal/trouble.mjs'

/** Reads its log, catches up and connects to everything: seconds on an idle machine, more beside a test run. */
const readyWithinMs = 120_000
/** A service finishes what it has begun; its own limit is lower. */
const stopWithinMs = 20_000

/**
 * The processes of the system, in the order of the data's way through them. They stop in this order too: first nothing comes in,
 * then what is under way passes through.
 *
 * `api`: it has a port for its clients. `ready`: a sandbox, which has no port for operations, answers this path there.
 *
 * @typedef {{ name: string, title: string, main: string, api?: true, ready?: string,
 *   args?: (profile: import('../profile.mjs').Profile) => string[] }} ServiceProcess
 * @type {ServiceProcess[]}
 */
export const serviceProcesses = [
  { name: 'command', title: 'Command API', main: 'command-service/dist/api/main.js', api: true },
  { name: 'relay', title: 'Relay', main: 'command-service/dist/relay/main.js' },
  { name: 'projector', title: 'Projector', main: 'projection-service/dist/projector/main.js' },
  { name: 'notifier', title: 'Notifier', main: 'notifier-service/dist/main.js', api: true },
  { name: 'query', title: 'Query API', main: 'projection-service/dist/query/main.js', api: true },
  {
    name: 'paymentGateway',
    title: 'Payment gateway (sandbox)',
    main: 'dev/sandboxes/payment-gateway/main.mjs',
    args: (profile) => ['--port', String(profile.ports.paymentGateway), '--data', paymentGatewayData(profile)],
    api: true,
    ready: '/healthz',
  },
]

const paymentGatewayData = (profile) => join(profile.data, 'payment-gateway')

/**
 * Names of the ports that a process listens on.
 *
 * @param {ServiceProcess} process
 * @returns {(keyof import('../profile.mjs').Ports)[]}
 */
export const portsOf = ({ name, api, ready }) =>
  /** @type {any} */ ([...(api ? [name] : []), ...(ready ? [] : [`${name}Operations`])])

/** Where the payment gateway's sandbox keeps its charges. @param {import('../profile.mjs').Profile} profile */
export const chargesFile = (profile) => join(paymentGatewayData(profile), chargesFileName)

/**
 * @typedef {object} Services
 * @property {Record<string, string>} urls of those with an API, by process name: http://127.0.0.1:<port>
 * @property {Record<string, string>} operations where all but sandboxes answer /healthz, /readyz and /metrics, by process name
 * @property {() => Promise<void>} stop in order
 * @property {(name: string, signal?: NodeJS.Signals) => Promise<void>} kill default SIGKILL; resolves when it has ended
 * @property {(name: string, signal: NodeJS.Signals) => void} signal does not wait
 * @property {(name: string) => Promise<void>} restart starts a process that has ended; resolves on /readyz
 * @property {(name: string) => Promise<string>} another starts one more instance of a process without an API; resolves on /readyz to
 *   the name that it has from then on
 * @property {(name: string) => Promise<number | NodeJS.Signals>} exit exit code, or the signal that ended it
 */

/**
 * Starts the processes of the system (built and migrated before) and resolves when each answers /readyz with 200.
 *
 * @param {import('./native.mjs').Stack} stack
 * @param {{ only?: string[], env?: Record<string, string>, envOf?: (name: string) => Record<string, string>, progress?: import('../terminal/progress.mjs').Progress, signal?: AbortSignal }}
 *   [options] `env` is added to what the stack gives, `envOf` to that of one process
 * @returns {Promise<Services>}
 * @throws {Trouble} when one does not come up; the others are stopped again
 */
export async function startServices(
  { profile, env: stackEnv },
  { only, env = {}, envOf = () => ({}), progress, signal } = {},
) {
  const chosen = serviceProcesses.filter(({ name }) => only === undefined || only.includes(name))
  const ports = { ...profile.ports }
  const urlsBy = (processes, portOf) =>
    Object.fromEntries(processes.map((each) => [each.name, `http://127.0.0.1:${portOf(each)}`]))
  const urls = urlsBy(
    serviceProcesses.filter(({ api }) => api),
    ({ name }) => ports[name],
  )
  const operations = urlsBy(
    serviceProcesses.filter(({ ready }) => !ready),
    ({ name }) => ports[`${name}Operations`],
  )
  const processOf = (name) => {
    const found = chosen.find((each) => each.name === name)
    if (!found)
      throw new Error(`There is no process "${name}" here; there are ${chosen.map((each) => each.name).join(', ')}.`)
    return found
  }

  /** @type {Map<string, Promise<number | NodeJS.Signals>>} */
  const exits = new Map()

  /** @param {ServiceProcess} service */
  async function start(service) {
    const { name, title, main, args, api, ready } = service
    for (const portName of portsOf(service)) {
      const port = ports[portName]
      if (await becomesFree(port)) continue
      throw new Trouble(`Port ${port}, which the ${title} needs, is taken by another program.`, {
        remedy: `end that program, or choose another port: ANNALS_PORT_${portName.toUpperCase()}=${port + 1_000}`,
      })
    }
    // The superuser is for the stack and for tests: no service gets it.
    const forServices = { ...process.env, ...stackEnv, ...env, ...envOf(name), POSTGRES_ADMIN_URL: undefined }
    // As in docker-compose.yml: what reads personal data has no key for secrets.
    const withoutSecrets = name === 'command' ? {} : { SECRETS_MASTER_KEY: undefined, PASSWORD_PEPPER: undefined }
    const running = await launch(profile, {
      name,
      command: process.execPath,
      args: ['--enable-source-maps', join(root, main), ...(args?.(profile) ?? [])],
      cwd: root,
      env: {
        ...forServices,
        ...withoutSecrets,
        ...(api ? { HTTP_PORT: String(ports[name]) } : {}),
        ...(ready ? {} : { OPERATIONS_PORT: String(ports[`${name}Operations`]) }),
      },
    })
    exits.set(name, running.exited)
    const readyUrl = ready ? `${urls[name]}${ready}` : `${operations[name]}/readyz`
    await waitReady(profile, running, () => answers(readyUrl), {
      timeoutMs: readyWithinMs,
      signal: either,
    })
  }

  async function stopAll() {
    for (const { name } of chosen) {
      const running = findRunning(profile, name)
      if (running) await stop(profile, running, { timeoutMs: stopWithinMs })
    }
  }

  const failed = new AbortController()
  const either = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])])
  // Left by a command that was killed before it could stop them.
  await stopAll()
  const outcomes = await Promise.allSettled(
    chosen.map(async (each) => {
      progress?.begin(each.title, 'starting')
      try {
        await start(each)
        progress?.done(each.title, urls[each.name] ?? operations[each.name])
      } catch (error) {
        progress?.failed(each.title, either.aborted ? 'given up' : undefined)
        failed.abort(error)
        throw error
      }
    }),
  )
  if (outcomes.some(({ status }) => status === 'rejected')) {
    await stopAll()
    signal?.throwIfAborted()
    throw failed.signal.reason
  }
  return {
    urls,
    operations,
    stop: stopAll,
    async kill(name, how = 'SIGKILL') {
      const running = findRunning(profile, processOf(name).name)
      if (running) await stop(profile, running, { signal: how, timeoutMs: stopWithinMs })
    },
    signal(name, how) {
      const running = findRunning(profile, processOf(name).name)
      if (running) sendSignal(running, how)
    },
    restart: (name) => start(processOf(name)),
    async another(name) {
      const service = processOf(name)
      if (service.api) throw new Error(`"${name}" has an API; its clients know one port.`)
      const instance = chosen.filter(({ main }) => main === service.main).length + 1
      const one = { ...service, name: `${name}${instance}`, title: `${service.title} ${instance}` }
      const [port] = await freePorts(1)
      ports[`${one.name}Operations`] = port
      operations[one.name] = `http://127.0.0.1:${port}`
      chosen.push(one)
      await start(one)
      return one.name
    },
    exit: (name) => exits.get(processOf(name).name),
  }
}

async function answers(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
  const body = await response.text()
  if (!response.ok) throw new Error(`${new URL(url).pathname} answered ${response.status}: ${body.slice(0, 200)}`)
}
