/**
 * Checks deploy/alerts/*.yml: the form of each rule, that it leads to a runbook which speaks of it, and that every runbook has
 * one. Whether the processes tell the metrics that rules name is a question for running processes: e2e/test/system.test.ts.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { root } from '../profile.mjs'

const text = z.string().min(1)
const Rule = z.strictObject({
  alert: z.string().regex(/^Annals[A-Z][A-Za-z]+$/, 'must begin with Annals'),
  expr: text,
  for: z.string().regex(/^\d+[smh]$/, 'must be a duration such as 5m'),
  labels: z.strictObject({ severity: z.enum(['warning', 'critical']) }),
  annotations: z.strictObject({ summary: text, runbook_url: z.string().regex(/^docs\/runbooks\/[a-z-]+\.md$/) }),
})
const Rules = z.strictObject({
  groups: z.array(z.strictObject({ name: text, rules: z.array(Rule).min(1) })).min(1),
})

/** Names in a PromQL expression that are metrics: no function, no keyword, no label. @param {string} expr @returns {string[]} */
export function metricsOf(expr) {
  const bare = expr
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '')
  const names = [...bare.matchAll(/(?<![\w.])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])/g)].map(([, name]) => name)
  const keywords = ['and', 'or', 'unless', 'bool', 'offset', 'max', 'min', 'sum', 'avg', 'count']
  return [...new Set(names.filter((name) => !keywords.includes(name)))]
}

/** @param {string} yaml a file of rules @returns {z.infer<typeof Rule>[]} @throws z.ZodError */
export const rulesOf = (yaml) => Rules.parse(parse(yaml)).groups.flatMap(({ rules }) => rules)

/**
 * @param {string} yaml a file of rules
 * @param {Record<string, string>} runbooks their texts by path; `docs/runbooks/README.md` is the index
 * @returns {string[]} one sentence per fault
 */
export function alertFaults(yaml, runbooks) {
  const result = Rules.safeParse(parse(yaml))
  if (!result.success) return z.prettifyError(result.error).split('\n').filter(Boolean)
  const rules = rulesOf(yaml)
  const { 'docs/runbooks/README.md': index = '', ...pages } = runbooks
  const faults = []
  for (const { alert, expr, annotations } of rules) {
    const page = annotations.runbook_url
    if (rules.filter((other) => other.alert === alert).length > 1) faults.push(`${alert} is there twice.`)
    if (metricsOf(expr).length === 0) faults.push(`${alert} names no metric.`)
    if (!(page in pages)) faults.push(`${alert} leads to ${page}, which is not there.`)
    else if (!pages[page].includes(`\`${alert}\``)) faults.push(`${page} does not speak of ${alert}.`)
    if (!index.includes(`\`${alert}\``)) faults.push(`docs/runbooks/README.md does not name ${alert}.`)
  }
  for (const [page, words] of Object.entries(pages)) {
    if (!rules.some(({ annotations }) => annotations.runbook_url === page)) faults.push(`No alarm leads to ${page}.`)
    for (const [, name] of words.matchAll(/`(Annals[A-Z][A-Za-z]+)`/g)) {
      if (!rules.some(({ alert }) => alert === name)) faults.push(`${page} speaks of ${name}, which is no alarm.`)
    }
  }
  return faults
}

/** The rules and runbooks of this repository. */
export function readAlerts() {
  const read = (file) => readFileSync(join(root, file), 'utf8')
  const folder = 'docs/runbooks'
  const pages = existsSync(join(root, folder)) ? readdirSync(join(root, folder)).filter((it) => it.endsWith('.md')) : []
  const runbooks = Object.fromEntries(pages.map((page) => [`${folder}/${page}`, read(`${folder}/${page}`)]))
  return { yaml: read('deploy/alerts/annals.yml'), runbooks }
}

if (process.argv[1] === import.meta.filename) {
  const { yaml, runbooks } = readAlerts()
  const faults = alertFaults(yaml, runbooks)
  for (const fault of faults) console.error(fault)
  console.log(`deploy/alerts/annals.yml: ${faults.length} faults.`)
  if (faults.length > 0) process.exitCode = 1
}
