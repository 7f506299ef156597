import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'

/**
 * Keeps a data directory to one server. The lock is SQLite's own, on an empty file beside the log: the operating system
 * drops it when the process dies, so a crash leaves nothing to clean up. (The log's own file cannot serve for it: closing
 * a database leaves the file open, and locked, until its prepared statements are garbage-collected.)
 * @returns releases the lock
 * @throws Error when another server has it
 */
export function lockDirectory(directory: string): () => void {
  const lock = new DatabaseSync(join(directory, 'lock.sqlite'), { timeout: 500 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    throw new Error(`data directory ${directory} is in use by another server`, { cause })
  }
  return () => lock.close()
}
