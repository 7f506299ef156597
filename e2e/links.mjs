import { startSilentProxy } from '@annals/platform/testing'
import { serviceProcesses } from '../dev/stack/services.mjs'
import { freePorts } from '../dev/profile.mjs'

/** What a process can reach, by the variable that holds its address. A new one is linked as soon as it stands here. */
const servers = {
  EVENTSTORE_URL: 'event store',
  KAFKA_BROKERS: 'Kafka',
  COMMAND_DATABASE_URL: 'PostgreSQL',
  PROJECTION_DATABASE_URL: 'PostgreSQL',
  QUERY_DATABASE_URL: 'PostgreSQL',
  NOTIFIER_DATABASE_URL: 'PostgreSQL',
  SUBJECT_KEYS_DATABASE_URL: 'PostgreSQL (keys)',
  REDIS_URL: 'Redis',
  SMTP_URL: 'SMTP',
  TWILIO_BASE_URL: 'SMS',
  PAYMENT_GATEWAY_URL: 'payment gateway',
  JWKS_URL: 'keys of access tokens',
}

/** The payment gateway's sandbox is no process of the system. */
const linked = serviceProcesses.map(({ name }) => name).filter((name) => name !== 'paymentGateway')

/**
 * @typedef {object} Link the way from one process to one server
 * @property {string} name
 * @property {string} process
 * @property {string} server
 * @property {import('@annals/platform/testing').SilentProxy} proxy
 */

/**
 * A proxy between every process and every server that it may reach. Kafka names the address of further connections itself: a
 * listener for each process does.
 *
 * @returns {Promise<{ kafkaDoors: import('../dev/stack/native.mjs').KafkaDoor[], connect: (env: Record<string, string>) => Promise<void>,
 *   envOf: (process: string) => Record<string, string>, all: Link[], close: () => Promise<void> }>} `connect` comes after the servers
 *   are up, and `all` is there after it
 */
export async function openLinks() {
  const ports = await freePorts(2 * linked.length)
  const kafkaDoors = linked.map((_, index) => ({ listen: ports[2 * index], advertise: ports[2 * index + 1] }))
  /** @type {Link[]} */
  const all = []
  const environments = new Map()

  async function connect(env) {
    for (const [index, process] of linked.entries()) {
      const own = {}
      for (const [variable, server] of Object.entries(servers)) {
        const isKafka = variable === 'KAFKA_BROKERS'
        const address = /127\.0\.0\.1:(\d+)/
        const port = isKafka ? kafkaDoors[index].listen : Number(address.exec(env[variable])[1])
        const proxy = await startSilentProxy({ host: '127.0.0.1', port }, isKafka ? kafkaDoors[index].advertise : 0)
        own[variable] = env[variable].replace(address, `127.0.0.1:${proxy.port}`)
        all.push({ name: `${process} → ${server}`, process, server, proxy })
      }
      environments.set(process, own)
    }
  }

  return {
    kafkaDoors,
    connect,
    envOf: (process) => environments.get(process) ?? {},
    all,
    close: async () => void (await Promise.all(all.map(({ proxy }) => proxy.close()))),
  }
}
