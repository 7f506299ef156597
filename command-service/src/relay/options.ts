import { Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import { field, processFields, kafkaFields } from '@annals/platform/config'
import type { Wishes } from './assess'
import { divide, mainRoute, RouteError, routeWith, versionRoute, type Route } from './route'

function wellDivided(text: string, { addIssue }: z.RefinementCtx): void {
  try {
    divide(mainRoute, text)
  } catch (error) {
    if (!(error instanceof RouteError)) throw error
    addIssue({ code: 'custom', message: error.message })
  }
}

/** The relay's configuration; `.env.example` explains each. */
export const RelayConfig = z.object({
  ...processFields(3101),
  EVENTSTORE_URL: field.url('esdb', 'esdb+discover'),
  ...kafkaFields,
  /** Of topics that the relay creates: 1 on a laptop, 3 where a broker may fail. */
  KAFKA_REPLICATION_FACTOR: field
    .integer(1, 1, 9)
    .refine(
      (factor) => factor !== 2,
      'must be 1, or 3 and more: with 2, either one broker that fails stops every write, or one that fails loses records',
    ),
  /** How the work is divided among relays: topics with commas between them, routes with semicolons; empty: one does all of it. */
  RELAY_ROUTES: z.string().default('').superRefine(wellDivided),
  /** A topic of the route that this relay takes, where there are several. */
  RELAY_ROUTE: z.string().optional(),
})
export type RelayConfig = z.infer<typeof RelayConfig>

export interface RelayCommand {
  /** Of the topic version to fill; `undefined`: what the configuration says. */
  filled: Route | undefined
  untilCaughtUp: boolean
  /** Divide the work as the configuration says, and end. */
  changeRoutes: boolean
  /** What the operator says to a refusal; `undefined`: nothing. */
  wishes: Wishes | undefined
}

function position(text: string): bigint {
  if (!/^\d{1,19}$/.test(text)) throw new InvalidArgumentError('a log position is a whole number.')
  return BigInt(text)
}

function partitionCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > 1_000) throw new InvalidArgumentError('1 to 1000.')
  return count
}

function routeTo(command: Command, topic: string | undefined, partitions: number | undefined): Route | undefined {
  try {
    return topic ? versionRoute(topic, partitions) : undefined
  } catch (error) {
    if (error instanceof RouteError) return command.error(error.message)
    throw error
  }
}

/**
 * Reads the command line. Without arguments: the relay of everything published.
 * @param args without the program's name.
 * Commander prints what is wrong with it, and exits.
 */
export function readCommand(args: readonly string[]): RelayCommand {
  const command = new Command('relay')
    .description('Copies the log to Kafka: every event once, in order per stream.')
    .addOption(new Option('--from-start', 'publish the whole log again, into the topic that --to names'))
    .addOption(new Option('--to <topic>', 'a new version of a topic, such as annals.payments.v2'))
    .addOption(
      new Option('--partitions <count>', 'of the new topic (default: as the topic now)').argParser(partitionCount),
    )
    .addOption(new Option('--until-caught-up', 'end when everything that the log holds now is published'))
    .addOption(
      new Option('--resume-after <position>', 'when the checkpoint was lost: where publishing stopped').argParser(
        position,
      ),
    )
    .addOption(
      new Option('--refill <topic>', 'fill a topic that lost its records from the log; may be given several times')
        .argParser((topic, given: readonly string[]) => [...given, topic])
        .default([], 'none'),
    )
    .addOption(new Option('--accept-log', 'the log is another one: begin anew with it, in empty topics'))
    .addOption(new Option('--delete-topics', 'with --refill or --accept-log: delete what is left in those topics'))
    .addOption(new Option('--change-routes', 'divide the work among relays as RELAY_ROUTES says, and end'))
    .allowExcessArguments(false)
  command.parse([...args], { from: 'user' })
  const { fromStart, to, partitions, untilCaughtUp, resumeAfter, refill, acceptLog, deleteTopics, changeRoutes } =
    command.opts<{
      fromStart?: boolean
      to?: string
      partitions?: number
      untilCaughtUp?: boolean
      resumeAfter?: bigint
      refill: string[]
      acceptLog?: boolean
      deleteTopics?: boolean
      changeRoutes?: boolean
    }>()
  if (Boolean(fromStart) !== Boolean(to))
    command.error('--from-start and --to belong together: the whole log goes into a topic of its own.')
  if (partitions !== undefined && !to) command.error('--partitions is for the topic that --to names.')
  const filled = routeTo(command, to, partitions)
  const { topics } = filled ?? mainRoute
  for (const topic of refill)
    if (!topics.some((spec) => spec.topic === topic))
      command.error(`--refill ${topic}: this relay publishes ${topics.map((spec) => spec.topic).join(', ')}.`)
  if (deleteTopics && refill.length === 0 && !acceptLog)
    command.error('--delete-topics says how --refill or --accept-log begins: give one of them.')
  if (changeRoutes && args.length > 1) command.error('--change-routes goes with no other option.')
  const hasWishes = resumeAfter !== undefined || refill.length > 0 || acceptLog === true
  return {
    filled,
    untilCaughtUp: untilCaughtUp ?? false,
    changeRoutes: changeRoutes ?? false,
    wishes: hasWishes
      ? { resumeAfter, refill, acceptLog: acceptLog ?? false, deleteTopics: deleteTopics ?? false }
      : undefined,
  }
}

/**
 * The route that a relay publishes.
 * @throws RouteError when the configuration does not say which of several, or a topic is to be filled that is another's.
 */
export function routeOf(
  { filled, wishes }: Pick<RelayCommand, 'filled' | 'wishes'>,
  { RELAY_ROUTES, RELAY_ROUTE }: Pick<RelayConfig, 'RELAY_ROUTES' | 'RELAY_ROUTE'>,
): Route {
  const route = filled ?? routeWith(divide(mainRoute, RELAY_ROUTES), RELAY_ROUTE)
  const own = route.topics.map(({ topic }) => topic)
  const foreign = wishes?.refill.find((topic) => !own.includes(topic))
  if (foreign !== undefined)
    throw new RouteError(`--refill ${foreign}: this relay publishes ${own.join(', ')}. Set RELAY_ROUTE to ${foreign}.`)
  return route
}
