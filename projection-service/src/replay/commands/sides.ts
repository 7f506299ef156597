import { randomBytes } from 'node:crypto'
import { Option, type Command } from 'commander'
import type { OpenAll } from '@annals/contracts'
import type { EventLog } from '@annals/platform/event-log'
import type { Logger } from '@annals/platform/log'
import type { Pool } from '@annals/platform/postgres'
import type { Side } from '../../engine/generation'
import type { Projection } from '../../engine/projection'
import { projections } from '../../projections'
import { dropSides, listSides, makeSides, SideError } from '../as-of'
import { diffOf, type Diff } from '../diff'
import { logSource, streamsInScope, streamsSource, topicsOf, type EventSource, type Point } from '../event-source'
import { exitCodes } from '../exit-code'
import { kafkaSource } from '../kafka-source'
import { grouped } from '../progress'
import {
  labelArgument,
  pointArgument,
  standingArgument,
  streamArgument,
  timeArgument,
  userArgument,
  type Standing,
} from './arguments'

export interface SideSystem {
  pool: Pool
  log: EventLog
  logger: Logger
  openAll: OpenAll
  /** Of Kafka, where it is configured. */
  brokers: readonly string[] | undefined
}

export interface SideCommands {
  withSystem: <T>(count: number, work: (system: SideSystem) => Promise<T>) => Promise<T>
  projectionArgument: (name: string, before?: Projection[]) => Projection[]
}

const print = (text: string): void => void process.stdout.write(`${text}\n`)
/** Between lines that tell how far a fold has come. */
const tellEveryMs = 5_000
/** Differences listed; all are counted. */
const listedMax = 1_000

type Source = 'log' | 'kafka'

const pointText = (point: Point) =>
  point.kind === 'position' ? `position ${point.position}` : new Date(point.at).toISOString()

function sourceUpTo(point: Point, source: Source, chosen: readonly Projection[], system: SideSystem): EventSource {
  const names = topicsOf(chosen)
  if (source === 'log') return logSource(system.log, names, point)
  if (!system.brokers) throw new SideError('KAFKA_BROKERS is not set')
  // Partitions are read side by side, and clocks differ a little: only a position cuts all of them at the same fact.
  if (point.kind === 'time') throw new SideError('from Kafka only up to a position, not up to a time')
  return kafkaSource(names, { brokers: system.brokers, log: system.logger, until: point.position })
}

async function make(
  chosen: readonly Projection[],
  side: Side,
  facts: { kind: 'as-of' | 'scope'; what: string },
  system: SideSystem,
  source: EventSource,
  signal: AbortSignal,
  isQuiet = false,
) {
  let told = performance.now()
  const onChunk = (events: number) => {
    if (isQuiet || performance.now() - told < tellEveryMs) return
    told = performance.now()
    print(`  ${grouped(events)} events`)
  }
  return makeSides({ projections: chosen, side, source, facts, onChunk, signal, ...system })
}

/** Runs `work` with a signal that aborts at Ctrl-C or SIGTERM: what is half made is dropped. */
async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = new AbortController()
  const interrupt = () => interruption.abort()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, interrupt)
  try {
    return await work(interruption.signal)
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, interrupt)
  }
}

function tell(made: Awaited<ReturnType<typeof make>>, side: Side, isJson: boolean): void {
  if (isJson) return print(JSON.stringify(made))
  for (const { projection, what, events, parkedStreams } of made) {
    const parked =
      parkedStreams > 0 ? `, ${grouped(parkedStreams)} streams stand still at an event that was refused` : ''
    print(`${projection.padEnd(16)} ${what}: ${grouped(events)} events in ${projection}_${side}${parked}`)
  }
  print(`compare: \`replay diff <read model> ${side.replace('asof_', '')} live\`; drop: \`replay drop-side\``)
}

/** A comparison may name points: these are folded for it alone. */
async function compare(
  projection: Projection,
  a: Standing,
  b: Standing,
  max: number,
  system: SideSystem,
  signal: AbortSignal,
) {
  const temporary: Side[] = []
  const sideFor = async (standing: Standing): Promise<Side | 'live'> => {
    if (standing.kind === 'side') return standing.side
    const side: Side = `asof_tmp_${randomBytes(4).toString('hex')}`
    const source = sourceUpTo(standing.point, 'log', [projection], system)
    await make([projection], side, { kind: 'as-of', what: pointText(standing.point) }, system, source, signal, true)
    temporary.push(side)
    return side
  }
  try {
    return await diffOf(system.pool, projection, await sideFor(a), await sideFor(b), max)
  } finally {
    for (const side of temporary) await dropSides(system.pool, [projection], side)
  }
}

const shown = (value: unknown): string => {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

function tellDiff({ differences, added, removed, changed }: Diff): void {
  const signs = { added: '+', removed: '-', changed: '~' }
  for (const { key, kind, columns } of differences) {
    print(`${signs[kind]} ${key}`)
    for (const { column, before, after } of columns) print(`    ${column}: ${shown(before)} -> ${shown(after)}`)
  }
  const total = added + removed + changed
  if (differences.length < total) print(`  … and ${grouped(total - differences.length)} more`)
  print(
    total === 0
      ? 'no differences'
      : `${grouped(added)} added, ${grouped(removed)} removed, ${grouped(changed)} changed`,
  )
}

interface SideOptions {
  into: Side
  all?: true
  json?: true
  source: Source
  stream?: string
  user?: string
  from?: number
  to?: number
}

function chosenOf(named: Projection[] | undefined, { all }: { all?: true }, command: Command): Projection[] {
  const chosen = all ? [...projections] : [...new Set(named ?? [])]
  if (chosen.length === 0) command.error('error: name projections, or --all', { exitCode: exitCodes.usage })
  return chosen
}

/** Adds `as-of`, `scoped`, `diff`, `sides` and `drop-side`. */
export function addSides(cli: Command, { withSystem, projectionArgument }: SideCommands): void {
  const into = () => new Option('--into <label>', 'name of the side').argParser(labelArgument).makeOptionMandatory()

  cli
    .command('as-of')
    .description('folds the log up to a time or position (included) into tables beside the live ones')
    .argument('<point>', 'a time like 2026-11-23T10:00:00Z, a day, or a position of the log', pointArgument)
    .argument('[projection...]', 'read models', projectionArgument)
    .option('--all', 'every read model')
    .addOption(into())
    .addOption(new Option('--source <source>', 'where events are read').choices(['log', 'kafka']).default('log'))
    .option('--json')
    .action((point: Point, named: Projection[] | undefined, options: SideOptions, command: Command) => {
      const chosen = chosenOf(named, options, command)
      return interruptible((signal) =>
        withSystem(1, async (system) => {
          const source = sourceUpTo(point, options.source, chosen, system)
          const facts = { kind: 'as-of', what: `as of ${pointText(point)}` } as const
          const made = await make(chosen, options.into, facts, system, source, signal, options.json)
          tell(made, options.into, Boolean(options.json))
        }),
      )
    })

  cli
    .command('scoped')
    .description('folds some streams of the log, whole, into tables beside the live ones')
    .argument('[projection...]', 'read models', projectionArgument)
    .option('--all', 'every read model')
    .option('--stream <stream>', 'this stream', streamArgument)
    .option('--user <userId>', 'streams with an event of this user', userArgument)
    .option('--from <time>', 'streams with an event from then on', timeArgument)
    .option('--to <time>', 'streams with an event before then', timeArgument)
    .addOption(into())
    .option('--json')
    .action((named: Projection[] | undefined, options: SideOptions, command: Command) => {
      const { stream, user: userId, from, to } = options
      const chosen = chosenOf(named, options, command)
      const limits = [
        stream,
        userId && `user ${userId}`,
        from !== undefined && `from ${new Date(from).toISOString()}`,
        to !== undefined && `to ${new Date(to).toISOString()}`,
      ].filter(Boolean)
      if (limits.length === 0)
        command.error('error: name a scope: --stream, --user, --from, --to', { exitCode: exitCodes.usage })
      return interruptible((signal) =>
        withSystem(1, async (system) => {
          const streams = await streamsInScope(system.log, topicsOf(chosen), { stream, userId, from, to }, signal)
          const facts = { kind: 'scope', what: limits.join(' ') } as const
          const source = streamsSource(system.log, streams)
          const made = await make(chosen, options.into, facts, system, source, signal, options.json)
          tell(made, options.into, Boolean(options.json))
        }),
      )
    })

  cli
    .command('diff')
    .description('rows that differ between two states of a read model; exit code 3 when there are any')
    .argument('<projection>', 'read model', projectionArgument)
    .argument('<before>', 'a label, a time, a position, or live', standingArgument)
    .argument('<after>', 'likewise', standingArgument)
    .option('--json')
    .action(([projection]: Projection[], before: Standing, after: Standing, options: { json?: true }) =>
      interruptible((signal) =>
        withSystem(1, async (system) => {
          const found = await compare(projection!, before, after, listedMax, system, signal)
          if (options.json) print(JSON.stringify(found))
          else tellDiff(found)
          if (found.added + found.removed + found.changed > 0) process.exitCode = exitCodes.notEqual
        }),
      ),
    )

  cli
    .command('sides')
    .description('what `as-of` and `scoped` have made')
    .option('--json')
    .action((options: { json?: true }) =>
      withSystem(1, async ({ pool }) => {
        const found = await listSides(pool, projections)
        if (options.json) return print(JSON.stringify(found))
        if (found.length === 0) return print('there are none')
        for (const { projection, label, what, version, events } of found)
          print(`${label.padEnd(15)} ${projection.padEnd(16)} version ${version}, ${grouped(events)} events, ${what}`)
      }),
    )

  cli
    .command('drop-side')
    .description('drops what `as-of` or `scoped` has made')
    .argument('<label>', 'name of the side', labelArgument)
    .action((side: Side) =>
      withSystem(1, async ({ pool }) => {
        for (const schema of await dropSides(pool, projections, side)) print(`${schema} is gone`)
      }),
    )
}
