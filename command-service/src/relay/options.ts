import { Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import { field, processFields } from '@annals/platform/config'
import { mainRoute, versionRoute, type Route } from './route'

/** The relay's configuration; `.env.example` explains each. */
export const RelayConfig = z.object({
  ...processFields,
  HTTP_PORT: field.port(3001),
  EVENTSTORE_URL: field.url('esdb', 'esdb+discover'),
  KAFKA_BROKERS: field.brokers(),
  /** Of topics that the relay creates: 1 on a laptop, 3 where a broker may fail. */
  KAFKA_REPLICATION_FACTOR: field.integer(1, 1, 9),
})
export type RelayConfig = z.infer<typeof RelayConfig>

export interface RelayCommand {
  route: Route
  untilCaughtUp: boolean
  resumeAfter: bigint | undefined
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

/**
 * Reads the command line. Without arguments: the relay of everything published.
 * @param args without the program's name.
 * @throws RouteError; commander prints its own errors and exits.
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
    .allowExcessArguments(false)
  command.parse([...args], { from: 'user' })
  const { fromStart, to, partitions, untilCaughtUp, resumeAfter } = command.opts<{
    fromStart?: boolean
    to?: string
    partitions?: number
    untilCaughtUp?: boolean
    resumeAfter?: bigint
  }>()
  if (Boolean(fromStart) !== Boolean(to))
    command.error('--from-start and --to belong together: the whole log goes into a topic of its own.')
  if (partitions !== undefined && !to) command.error('--partitions is for the topic that --to names.')
  return {
    route: to ? versionRoute(to, partitions) : mainRoute,
    untilCaughtUp: untilCaughtUp ?? false,
    resumeAfter,
  }
}
