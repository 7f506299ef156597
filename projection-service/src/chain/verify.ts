import type { OpenAll } from '@annals/contracts'
import type { EventLog } from '@annals/platform/event-log'
import type { ChainHead } from '@annals/platform/hash-chain'
import { postgresDeadlines, type Pool, type PoolClient } from '@annals/platform/postgres'
import { chainName, placeOfChain, type ChainHeads, type ChainProjection } from '../engine/definition/chain'
import { checkpointsIn } from '../engine/tables/checkpoint-table'
import { placesOf, tablesOf, type Tables } from '../engine/tables/generation'
import { loadHeads } from '../engine/tables/head-table'
import { registered, shareGenerationSql } from '../engine/tables/registry'
import { NotPossible } from '../engine/tables/stream-lock'
import { createAnchorCheck } from './anchor-check'
import { headFindings, walkChain, type ChainFinding } from './walk'

/** Findings that are told of; all are counted. */
const toldMax = 20

export interface ChainReport {
  projection: string
  version: number
  /** Entries that the log makes, each compared with its row. */
  entries: number
  /** `false`: only a part was looked at. */
  isWhole: boolean
  /** How many entries are not what the log makes. */
  wrong: number
  /** The first of them, in the order of the log. */
  findings: ChainFinding[]
  /** Heads in the log's anchors that were compared, and when the last anchor was made. */
  anchors: { compared: number; lastAt: string | null }
  /** Where each chain ends, as the log makes it: what an auditor may keep elsewhere. */
  heads: { topic: string; partition: number; sequence: string; hash: string }[]
}

export interface VerifyDependencies {
  pool: Pool
  log: Pick<EventLog, 'readAll'>
  openAll: OpenAll
}

export interface VerifyOptions {
  /** Only so many entries, from behind `from` on, or from a random place on; default: all. */
  sample?: number
  from?: { topic: string; partition: number; sequence: bigint }
  signal?: AbortSignal
}

/**
 * Compares a live chain with the log, entry by entry, in bounded memory, as of one moment; the projector goes on meanwhile.
 * @throws NotPossible when it is not there, or at another version; what the log or PostgreSQL throw when they do not answer.
 */
export async function verifyChain(
  projection: ChainProjection,
  { pool, log, openAll }: VerifyDependencies,
  { sample, from, signal }: VerifyOptions = {},
): Promise<ChainReport> {
  const tables = tablesOf(projection, 'live')
  const client = await pool.connect()
  try {
    // It stands idle while the log is read. It holds nobody up, save a swap of this read model.
    await client.query(
      `begin isolation level repeatable read read only;
       set local idle_in_transaction_session_timeout = ${postgresDeadlines.longStatementMs};
       ${shareGenerationSql(projection.name)}`,
    )
    const live = await registered(client, projection.name)
    if (live?.version !== projection.version)
      throw new NotPossible(
        live
          ? `version ${live.version} of ${projection.name} is live, this release knows version ${projection.version}`
          : `${projection.name} is not installed yet`,
      )
    const begin = sample === undefined ? beginning : await beginningBehind(client, projection, tables, from)
    const reached = new Map(
      (await checkpointsIn(client, tables.checkpoint)).map((one) => [chainName(one), one.checkpoint.position]),
    )
    const stored = await loadHeads(client, tables.head)
    const findings: ChainFinding[] = []
    let wrong = 0
    const found = (finding: ChainFinding) => {
      wrong += 1
      if (findings.length < toldMax) findings.push(finding)
    }
    const anchors = createAnchorCheck(client, tables, reached, found)
    const walked = await walkChain({
      projection,
      tables,
      client,
      log,
      openAll,
      ...begin,
      reached,
      entriesMax: sample ?? Number.POSITIVE_INFINITY,
      found,
      beside: anchors,
      ...(signal ? { signal } : {}),
    })
    if (walked.isWhole) for (const finding of headFindings(walked.heads, stored)) found(finding)
    return {
      projection: projection.name,
      version: projection.version,
      entries: walked.entries,
      isWhole: walked.isWhole && begin === beginning,
      wrong,
      anchors: anchors.seen,
      findings: findings.toSorted((a, b) => Number(BigInt(a.position) - BigInt(b.position))),
      heads: [...walked.heads].map(([place, { sequence, hash }]) => ({
        ...placeOfChain(place),
        sequence: `${sequence}`,
        hash,
      })),
    }
  } finally {
    await client.query('rollback').catch(() => undefined)
    client.release()
  }
}

interface Beginning {
  after: bigint
  heads: ChainHeads
}

const beginning: Beginning = { after: -1n, heads: new Map() }

/** An entry to begin behind, by default a random one. The last entries up to there are taken as they stand: another walk looks at them. */
async function beginningBehind(
  client: PoolClient,
  projection: ChainProjection,
  tables: Tables,
  from: VerifyOptions['from'],
): Promise<Beginning> {
  const { topic, partition, sequence } = from ?? (await randomEntry(client, tables)) ?? noEntry
  const { rows } = await client.query<{ position: bigint }>(
    `select position from ${tables.rows} where topic = $1 and partition = $2 and sequence <= $3
     order by sequence desc limit 1`,
    [topic, partition, sequence],
  )
  if (!rows[0]) return beginning
  const after = rows[0].position
  const before = new Map<string, ChainHead>()
  for (const one of placesOf(projection)) {
    const { rows: last } = await client.query<{ sequence: bigint; hash: string; position: bigint }>(
      `select sequence, hash, position from ${tables.rows}
       where topic = $1 and partition = $2 and position <= $3 order by position desc limit 1`,
      [one.topic, one.partition, after],
    )
    if (last[0]) before.set(chainName(one), last[0])
  }
  return { after, heads: before }
}

const noEntry = { topic: '', partition: 0, sequence: 0n }

async function randomEntry(client: PoolClient, tables: Tables): Promise<VerifyOptions['from']> {
  const heads = [...(await loadHeads(client, tables.head))]
  const [place, head] = heads[Math.floor(Math.random() * heads.length)] ?? []
  if (!place || !head) return undefined
  // 0 stands for the beginning of all chains.
  return { ...placeOfChain(place), sequence: BigInt(Math.floor(Math.random() * (Number(head.sequence) + 1))) }
}
