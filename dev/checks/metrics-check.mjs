/**
 * Holds names of metrics together: those that the programs register belong to an area that is known, and those that alarms,
 * documents and tests speak of are registered. The form of a name is held where it is registered, by
 * platform/src/metrics/naming.ts: a process that breaks it does not start. For that, all metrics are made there.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join, posix } from 'node:path'
import { root } from '../profile.mjs'

/** What may follow `annals_`, and what it is. A new process or area takes its place here. */
export const areas = {
  api: 'every HTTP API',
  command: 'command API',
  consumer: 'a consumer group of Kafka',
  drift: 'the comparison of rows with the log',
  log: 'the event log, as a reader sees it',
  notifier: 'notifier',
  process: 'every process',
  projection: 'projector: the lane, and each read model',
  query: 'query API',
  rebuild: 'replay CLI, told by the projector',
  relay: 'relay',
  subject_keys: 'keys of persons',
}

const metricsFolder = 'platform/src/metrics/'
const isProgram = (file) => /^(platform|[a-z]+-service)\/src\/.*\.ts$/.test(file)
/** They tell of former releases, or of names that are wrong on purpose. */
const isHistory = (file) =>
  /^(CHANGELOG\.md|(dev|platform)\/test\/unit\/(checks\/)?metrics(-check)?\.test\.ts)$/.test(file)
const isMention = (file) => /\.(md|yml|ts|mjs)$/.test(file) && !isHistory(file)

const areaPattern = Object.keys(areas).join('|')
const endings = /_(bucket|count|sum)$/

/**
 * @param {Record<string, string>} files texts by path in the repository
 * @returns {string[]} one sentence per fault
 */
export function metricFaults(files) {
  const registered = new Set()
  const faults = []
  for (const [file, text] of Object.entries(files)) {
    if (!isProgram(file) || file.startsWith(metricsFolder)) continue
    if (/from 'prom-client'/.test(text))
      faults.push(`${file} imports prom-client: metrics are made by ${metricsFolder}.`)
    for (const [, name] of text.matchAll(/'(annals_[a-z_]+)'/g)) {
      registered.add(name)
      if (!new RegExp(`^annals_(${areaPattern})_`).test(name)) faults.push(`${file} registers ${name}: no known area.`)
    }
  }
  for (const [file, text] of Object.entries(files)) {
    if (!isMention(file)) continue
    // A name that goes on in a form of its own, `annals_relay_(role|lag)`, is part of a pattern.
    const mentions = text.matchAll(
      new RegExp(`\\bannals_(?:${areaPattern})_[a-z_]*[a-z](?![\\w({*])|\\bannals_\\w+_total\\b`, 'g'),
    )
    for (const name of new Set([...mentions].map(([name]) => name))) {
      if (!registered.has(name) && !registered.has(name.replace(endings, '')))
        faults.push(`${file} speaks of ${name}, which is no metric.`)
    }
  }
  return faults
}

/** Texts of all files that the check looks into, by path. */
export function readFiles() {
  const texts = {}
  const walk = (folder) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name)
      if (entry.isDirectory() && !/^(node_modules|dist|coverage|\..*)$/.test(entry.name)) walk(path)
      else if (entry.isFile() && isMention(path)) texts[path] = readFileSync(join(root, path), 'utf8')
    }
  }
  walk('.')
  return texts
}

if (process.argv[1] === import.meta.filename) {
  const faults = metricFaults(readFiles())
  for (const fault of faults) console.error(fault)
  console.log(`Names of metrics: ${faults.length} faults.`)
  if (faults.length > 0) process.exitCode = 1
}
