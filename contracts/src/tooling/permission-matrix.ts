import { permissions } from '../api/permissions'
import { rateLimits } from '../api/rate-limits'
import type { ApiDescription } from './openapi'

/** Who may call what, as a page of Markdown: one line for each address of each API. */
export function permissionMatrix(apis: readonly ApiDescription[]): string {
  const lines = [
    '# Who may call what',
    '',
    'Made from the routes by `npm run contracts -- docs`.',
    '',
    '| permission | who may call | whose things |',
    '| --- | --- | --- |',
    ...Object.entries(permissions).map(([name, { who, whose }]) => `| \`${name}\` | ${who} | ${whose} |`),
    '',
    'What belongs to another person is answered as if it were not there.',
    '',
    '| rate limit | what it means |',
    '| --- | --- |',
    ...Object.entries(rateLimits).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`),
  ]
  for (const { title, routes } of apis) {
    lines.push('', `## ${title}`, '', '| route | operation | permission | rate limit |', '| --- | --- | --- | --- |')
    for (const { operationId, method, path, aliases = [], permission, rateLimit } of routes)
      for (const address of [{ method, path }, ...aliases])
        lines.push(`| \`${address.method} ${address.path}\` | ${operationId} | \`${permission}\` | \`${rateLimit}\` |`)
  }
  return `${lines.join('\n')}\n`
}
