import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { root } from '../dev/profile.mjs'

const versionOf = (name) => createRequire(import.meta.url)(`${name}/package.json`).version

/**
 * What the figures depend on.
 *
 * @param {import('pg').Client} db any connection
 * @returns {Promise<Record<string, string | number>>}
 */
export async function machineFacts(db) {
  const { rows } = await db.query('show server_version')
  const kafka = readFileSync(join(root, 'dev/install/kafka/pom.xml'), 'utf8').match(
    /kafka_2\.13[\s\S]*?<version>([^<]+)/,
  )?.[1]
  return {
    at: new Date().toISOString(),
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGb: Math.round(totalmem() / 2 ** 30),
    // What else the machine was doing when the measurement began, in processes that wanted a core.
    loadBefore: Math.round(loadavg()[0] * 10) / 10,
    node: process.versions.node,
    postgresql: rows[0].server_version,
    kafka: kafka ?? 'unknown',
    kafkajs: versionOf('kafkajs'),
    eventstoreClient: versionOf('@eventstore/db-client'),
    eventstore: 'dev/eventstore',
  }
}
