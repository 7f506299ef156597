import type { z } from 'zod'
import { AuditEntry, AuditPage, ExportAuditQuery, ListAuditQuery, type AuditResult } from '@annals/contracts'
import { audit } from '../../projections'
import { decodePositionCursor, encodeCursor, pageOf } from '../cursor'
import { freshRead } from '../fresh-read'
import type { ReadModels } from '../read-models'
import { defineExport, defineQuery } from '../route'

interface EntryRow {
  event_id: string
  type: string
  at: string | null
  actor_type: string | null
  actor_id: string | null
  user_id: string | null
  about: string | null
  result: AuditResult | null
  reason: string | null
  correlation_id: string | null
  command_id: string | null
  source: string | null
  stream: string
  revision: bigint
  position: bigint
  topic: string
  partition: number
  sequence: bigint
  content_hash: string
  previous_hash: string
  hash: string
}

const columns = `event_id, type, at, actor_type, actor_id, user_id, about, result, reason, correlation_id, command_id, source,
  stream, revision, position, topic, partition, sequence, content_hash, previous_hash, hash`

const entryView = (row: EntryRow): z.input<typeof AuditEntry> => ({
  id: row.event_id,
  type: row.type,
  at: row.at,
  actorType: row.actor_type,
  actorId: row.actor_id,
  userId: row.user_id,
  about: row.about,
  result: row.result,
  reason: row.reason,
  correlationId: row.correlation_id,
  commandId: row.command_id,
  source: row.source,
  stream: row.stream,
  revision: Number(row.revision),
  position: String(row.position),
  topic: row.topic,
  partition: row.partition,
  sequence: Number(row.sequence),
  contentHash: row.content_hash,
  previousHash: row.previous_hash,
  hash: row.hash,
})

type Filters = Pick<z.output<typeof ListAuditQuery>, 'userId' | 'type' | 'result' | 'from' | 'to'>

/**
 * Entries beyond a position, in one direction. Of a person: what they did, and what was done to what is theirs, each by its own index.
 * @param count so many at most.
 */
function entriesSql(
  models: ReadModels,
  filters: Filters,
  beyond: string | undefined,
  order: 'asc' | 'desc',
  count: number,
) {
  const { userId, type, result, from, to } = filters
  const select = (whose: string) =>
    `(select ${columns} from ${models.tables(audit).rows}
      where ${whose} and ($2::text is null or type = $2) and ($3::text is null or result = $3)
        and ($4::timestamptz is null or at >= $4) and ($5::timestamptz is null or at < $5)
        and ($6::bigint is null or position ${order === 'asc' ? '>' : '<'} $6)
      order by position ${order} limit ${count})`
  const sql =
    userId === undefined
      ? select('$1::text is null')
      : `(${select('actor_id = $1')} union ${select('user_id = $1::uuid')} order by position ${order} limit ${count})`
  const parameters = [userId ?? null, type ?? null, result ?? null, from ?? null, to ?? null, beyond ?? null]
  return { sql, parameters }
}

const listAudit = defineQuery({
  operationId: 'listAudit',
  path: '/api/v1/audit',
  summary: 'The audit trail: who did what, when, with which result, newest first',
  permission: 'audit.read',
  tag: 'audit',
  query: ListAuditQuery,
  response: AuditPage,
  problems: ['invalid-cursor'],
  reads: [audit],
  async answer({ query: { limit, cursor, ...filters } }, { models }) {
    const beyond = decodePositionCursor('audit', filters, cursor)
    const { rows, freshness } = await freshRead<EntryRow>(models, {
      projection: audit,
      ...entriesSql(models, filters, beyond, 'desc', limit + 1),
      orderBy: 'position desc',
    })
    const cursorOf = ({ position }: EntryRow) => encodeCursor('audit', filters, { position: String(position) })
    return { ...pageOf(rows, limit, entryView, cursorOf), freshness }
  },
})

/** Entries read at once for an export: some 500 KB. */
const exportPage = 1_000

/** Entries oldest first, a page at a time: only as fast as the client reads, and not after it has gone. */
async function* allEntries(models: ReadModels, filters: Filters, signal: AbortSignal) {
  let beyond: string | undefined
  for (;;) {
    const { sql, parameters } = entriesSql(models, filters, beyond, 'asc', exportPage)
    const { rows } = await models.pool.query<EntryRow>(sql, parameters)
    for (const row of rows) {
      if (signal.aborted) return
      yield entryView(row)
    }
    if (rows.length < exportPage) return
    beyond = String(rows.at(-1)!.position)
  }
}

const exportAudit = defineExport({
  operationId: 'exportAudit',
  path: '/api/v1/audit/export',
  summary: 'The audit trail as lines of JSON or CSV, oldest first, with all that is needed to check its hashes',
  permission: 'audit.read',
  tag: 'audit',
  query: ExportAuditQuery,
  line: AuditEntry,
  alternatives: ['csv'],
  reads: [audit],
  answer: ({ query: { format, ...filters }, signal }, models) => ({
    lines: allEntries(models, filters, signal),
    ...(format === 'csv' ? { as: 'csv' as const } : {}),
    headers: { 'content-disposition': `attachment; filename="audit.${format}"` },
  }),
})

export const auditRoutes = [listAudit, exportAudit]
