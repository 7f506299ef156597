import { deliveries } from './deliveries.mjs'
import { eventLog } from './event-log.mjs'
import { kafka, topic, topics } from './kafka.mjs'
import { keys } from './keys.mjs'
import { readModels } from './read-models.mjs'
import { redisFlushed, redisRestarted } from './redis.mjs'

/**
 * One store that is set back or made anew.
 *
 * @typedef {object} Step
 * @property {string} says
 * @property {(context: Context) => Promise<any>} [copy] taken while people are at work; some commands later its result goes to
 * @property {(context: Context, copy: any) => Promise<void>} setBack resolves when the store serves again
 * @property {Record<string, RegExp>} [choices] by process: which of a refusal's choices is followed; default: the first one with a command
 * @property {(context: Context) => Promise<string | undefined>} [asks] words that stand where no process refuses and something is
 *   parked
 * @property {(context: Context) => Promise<void>} [mend] what an operator does after a runbook, for what asked
 *   with `asks`
 *
 * @typedef {object} Context
 * @property {Record<string, string>} env
 * @property {import('../../../dev/stack/native.mjs').Stack} stack
 * @property {import('../../../dev/stack/services.mjs').Services} services
 * @property {ReturnType<typeof import('./supervisor.mjs').supervise>} supervisor starts again what ends
 * @property {Record<string, string>} urls of the services
 * @property {ReturnType<import('../load.mjs').createLoad>} load
 * @property {ReturnType<import('./databases.mjs').createDatabases>} databases
 * @property {import('../aftermath.mjs').Aftermath} aftermath what is lost by definition
 * @property {import('../findings.mjs').Findings} findings what a step itself sees go wrong
 * @property {(command: string) => Promise<string>} run an operator's command, from the root; its output
 */

/** By name, in the order in which they are run. @type {Record<string, Step>} */
export const steps = {
  topic,
  topics,
  kafka,
  log: eventLog,
  'read-models': readModels,
  deliveries,
  keys,
  redis: redisFlushed,
  'redis-restart': redisRestarted,
}
