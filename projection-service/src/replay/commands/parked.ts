import type { Command } from 'commander'
import type { Pool } from '@annals/platform/postgres'
import { dropParked, parkedQueue, parkedStreams, retryParked } from '../../engine/parking/parked'
import { recordedActions } from '../../engine/parking/parked-actions'
import type { Projection } from '../../engine/definition/projection'
import { registered } from '../../engine/tables/registry'
import { NotPossible } from '../../engine/tables/stream-lock'
import { projections } from '../../projections'
import { exitCodes } from '../exit-code'
import { counted } from '../reporting/words'
import { print } from '../reporting/output'
import { withSystem } from '../system'
import { operator, projectionArgument } from './arguments'

/** Streams listed or retried by one call. */
const streamsMax = 10_000
/** Events of a queue that are shown; the first is the one that matters. */
const shownMax = 20
/** Recorded actions that are shown, newest first. */
const actionsMax = 100

export const asOption = ['--as <who>', 'who is recorded as having done it (default: user@host)'] as const

/** Those that have tables: a new one gets them from the first projector that knows it. */
async function installed(pool: Pool, named: readonly Projection[]): Promise<Projection[]> {
  const known = await Promise.all(named.map(({ name }) => registered(pool, name)))
  return named.filter((_, i) => known[i])
}

async function list(named: Projection[] | undefined, { json }: { json?: true }): Promise<void> {
  const found = await withSystem(1, async ({ pool }) => {
    const all = []
    for (const projection of await installed(pool, named ?? projections)) {
      all.push(...(await parkedStreams(pool, projection, streamsMax)))
    }
    return all
  })
  if (json) return print(JSON.stringify(found))
  if (found.length === 0) return print('nothing is parked')
  for (const { projection, stream, revision, type, events, error, parkedAt } of found) {
    print(`${projection} ${stream} revision ${revision} ${type}, ${events} waiting since ${parkedAt}`)
    print(`  ${error.split('\n').slice(0, 3).join('\n  ')}`)
  }
}

async function show(stream: string, { json }: { json?: true }): Promise<void> {
  const found = await withSystem(1, async ({ pool }) => {
    const all = []
    for (const projection of await installed(pool, projections)) {
      const queue = await parkedQueue(pool, projection, stream, shownMax)
      if (queue.length > 0) all.push({ projection: projection.name, queue })
    }
    return { parked: all, actions: await recordedActions(pool, { stream }, shownMax) }
  })
  if (json) return print(JSON.stringify(found))
  if (found.parked.length === 0 && found.actions.length === 0) throw new NotPossible(`nothing of ${stream} is parked`)
  for (const { projection, queue } of found.parked) {
    const [first, ...waiting] = queue
    const { revision, type, id, data, metadata, error, stack, parkedAt } = first!
    print(`${projection} ${stream}`)
    print(`  parked    revision ${revision} ${type}, event ${id}, since ${parkedAt}`)
    print(`  error     ${(stack ?? error ?? '').replaceAll('\n', '\n            ')}`)
    print(`  data      ${JSON.stringify(data)}`)
    print(`  metadata  ${JSON.stringify(metadata)}`)
    for (const event of waiting) print(`  waiting   revision ${event.revision} ${event.type}, event ${event.id}`)
    if (queue.length === shownMax) print(`  only the first ${shownMax} events are shown`)
  }
  if (found.actions.length > 0) printActions(found.actions)
}

async function retry([projection]: Projection[], stream: string | undefined, { as }: { as?: string }): Promise<void> {
  await withSystem(1, async ({ pool, openAll }) => {
    const { name } = projection!
    const streams = stream ? [stream] : (await parkedStreams(pool, projection!, streamsMax)).map((one) => one.stream)
    if (streams.length === 0) print(`${name}: nothing is parked`)
    for (const one of streams) {
      const { applied, error } = await retryParked(pool, projection!, one, openAll, as ?? operator())
      print(`${name} ${one}: ${applied} applied${error ? `, then: ${error.message}` : ''}`)
      if (error) process.exitCode = exitCodes.notEqual
    }
  })
}

async function drop(
  [projection]: Projection[],
  stream: string,
  { as, reason }: { as?: string; reason: string },
  command: Command,
): Promise<void> {
  if (reason.trim() === '') command.error('error: --reason must give the reason', { exitCode: exitCodes.usage })
  await withSystem(1, async ({ pool, openAll }) => {
    const actor = as ?? operator()
    const { dropped, applied, error } = await dropParked(pool, projection!, stream, openAll, { actor, reason })
    print(`${projection!.name} ${stream}: revision ${dropped.revision} ${dropped.type} dropped, event ${dropped.id}`)
    print(`  recorded as done by ${actor}; ${applied} applied behind it${error ? `, then: ${error.message}` : ''}`)
    if (error) process.exitCode = exitCodes.notEqual
  })
}

function printActions(actions: Awaited<ReturnType<typeof recordedActions>>): void {
  for (const { at, actor, action, projection, stream, eventIds, applied, reason } of actions) {
    print(`${at} ${actor} ${action} ${projection} ${stream}: ${counted(eventIds.length, 'event')}, ${applied} applied`)
    if (reason) print(`  ${eventIds[0]}: ${reason}`)
  }
}

async function log(named: Projection[] | undefined, { json }: { json?: true }): Promise<void> {
  const actions = await withSystem(1, ({ pool }) => recordedActions(pool, { projection: named?.[0]?.name }, actionsMax))
  if (json) return print(JSON.stringify(actions))
  if (actions.length === 0) return print('nothing was retried, dropped or refolded yet')
  printActions(actions)
}

/** `replay parked …`: what could not be applied, and what people do about it. */
export function addParked(program: Command): void {
  const parked = program.command('parked').description('events that could not be applied')
  const projectionName = ['<projection>', 'read model', projectionArgument] as const
  parked
    .command('list')
    .description('streams with a parked event, oldest first')
    .argument('[projection]', 'read model', projectionArgument)
    .option('--json')
    .action(list)
  parked
    .command('show')
    .description('the parked event, its error, and what waits behind it')
    .argument('<stream>', 'stream, such as payment-<uuid>')
    .option('--json')
    .action(show)
  parked
    .command('retry')
    .description('applies what is parked, in order')
    .argument(...projectionName)
    .argument('[stream]', 'only this stream')
    .option(...asOption)
    .action(retry)
  parked
    .command('drop')
    .description('gives up the parked event of a stream, for this read model, and retries what waits behind it')
    .argument(...projectionName)
    .argument('<stream>', 'stream')
    .requiredOption('--reason <text>', 'why the read model may continue without it; recorded')
    .option(...asOption)
    .action(drop)
  parked
    .command('log')
    .description('who retried, dropped or refolded what, newest first')
    .argument('[projection]', 'read model', projectionArgument)
    .option('--json')
    .action(log)
}
