import type { Command } from 'commander'
import { verifyChain, type ChainReport } from '../chain/verify'
import type { ChainFinding } from '../chain/walk'
import { audit } from '../projections'
import { interruptible } from '../replay/commands/interruption'
import { exitCodes } from '../replay/exit-code'
import { print } from '../replay/reporting/output'
import { grouped } from '../replay/reporting/words'
import { withSystem } from '../replay/system'

const words: Record<ChainFinding['kind'], string> = {
  changed: 'changed',
  missing: 'missing',
  'cut-off': 'cut off: the chain ends before it',
  inserted: 'inserted: the log has no such event',
  head: 'the head is not the last entry',
  anchor: 'the log says that the chain was another one',
}

const lineOf = ({ kind, topic, partition, sequence, eventId, columns }: ChainFinding): string => {
  const where = `${topic}/${partition} entry ${sequence}${eventId === null ? '' : `, event ${eventId}`}`
  return `  ${where}: ${words[kind]}${columns.length > 0 ? ` (${columns.join(', ')})` : ''}`
}

function printReport({ entries, isWhole, wrong, findings, heads, anchors }: ChainReport): void {
  const what = `${grouped(entries)} ${entries === 1 ? 'entry' : 'entries'}${isWhole ? '' : ' of a part'} compared with the log`
  print(`${what}, ${wrong === 0 ? 'all as the log says' : `${wrong} wrong`}`)
  const { compared, lastAt } = anchors
  print(
    lastAt === null
      ? '  the log holds no anchor of them'
      : `  ${grouped(compared)} anchored heads compared, the last of ${lastAt}`,
  )
  for (const finding of findings) print(lineOf(finding))
  if (wrong > findings.length) print(`  and ${wrong - findings.length} more`)
  if (wrong === 0 && isWhole)
    for (const { topic, partition, sequence, hash } of heads)
      print(`  ${topic}/${partition} ends at ${sequence}  ${hash}`)
}

/** `audit verify`: the chain beside the log. */
export function addVerify(program: Command): void {
  program
    .command('verify')
    .description('compares every entry with its event in the log, and names the first that differ; changes nothing')
    .option('--json')
    .action(async ({ json }: { json?: true }) => {
      const report = await interruptible((signal) => withSystem(1, (system) => verifyChain(audit, system, { signal })))
      if (json) print(JSON.stringify(report))
      else printReport(report)
      if (report.wrong > 0) process.exitCode = exitCodes.notEqual
    })
}
