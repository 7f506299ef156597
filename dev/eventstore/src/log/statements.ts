import type { DatabaseSyncInstance } from '@photostructure/sqlite'

export type Statements = ReturnType<typeof prepareStatements>

/** All statements of the log, prepared once. Rows come as arrays, which costs a third less than objects. */
export function prepareStatements(database: DatabaseSyncInstance) {
  const prepare = (sql: string) => {
    const statement = database.prepare(sql)
    statement.setReturnArrays(true)
    return statement
  }
  const read = (columns: string, from: string, order: string) =>
    prepare(`SELECT ${columns} FROM event ${from} ${order} LIMIT ?`)
  const all = (direction: 'forwards' | 'backwards', filter: 'none' | 'type' | 'stream') => {
    const columns = {
      none: "position, message, NULL, ''",
      type: 'position, message, NULL, type',
      stream: 'position, message, NULL, name',
    }
    const join = filter === 'stream' ? 'JOIN stream ON stream.id = event.stream' : ''
    return direction === 'forwards'
      ? read(columns[filter], `${join} WHERE position >= ?`, 'ORDER BY position')
      : read(columns[filter], `${join} WHERE position < ?`, 'ORDER BY position DESC')
  }
  const stream = "position, message, revision, ''"
  return {
    begin: prepare('BEGIN IMMEDIATE'),
    commit: prepare('COMMIT'),
    rollback: prepare('ROLLBACK'),
    lastEvent: prepare('SELECT position, length(message) FROM event ORDER BY position DESC LIMIT 1'),
    insertStream: prepare('INSERT INTO stream (name) VALUES (?)'),
    tombstone: prepare('UPDATE stream SET tombstoned = 1 WHERE id = ?'),
    insertEvent: prepare(
      'INSERT INTO event (position, stream, revision, id, type, created_ms, message) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    stream: prepare('SELECT id, tombstoned FROM stream WHERE name = ?'),
    lastRevision: prepare('SELECT max(revision) FROM event WHERE stream = ?'),
    lastMessage: prepare(
      'SELECT message FROM event WHERE stream = ? AND revision IS NOT NULL ORDER BY revision DESC LIMIT 1',
    ),
    // Named, because SQLite would otherwise walk the whole stream along the other index.
    revisionOfId: prepare('SELECT max(revision) FROM event INDEXED BY event_id WHERE stream = ? AND id = ?'),
    idAt: prepare('SELECT id FROM event WHERE stream = ? AND revision = ?'),
    positionAt: prepare('SELECT position FROM event WHERE stream = ? AND revision = ?'),
    messageAt: prepare('SELECT message FROM event WHERE stream = ? AND revision = ?'),
    streamForwards: read(stream, 'WHERE stream = ? AND revision >= ? AND created_ms >= ?', 'ORDER BY revision'),
    streamBackwards: read(
      stream,
      'WHERE stream = ? AND revision <= ? AND revision >= ? AND created_ms >= ?',
      'ORDER BY revision DESC',
    ),
    allForwards: { none: all('forwards', 'none'), type: all('forwards', 'type'), stream: all('forwards', 'stream') },
    allBackwards: {
      none: all('backwards', 'none'),
      type: all('backwards', 'type'),
      stream: all('backwards', 'stream'),
    },
  }
}
