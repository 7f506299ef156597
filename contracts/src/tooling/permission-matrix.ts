import { builtInRoles, describeAccess, permissions, type RouteAccess } from '../api/permissions'
import { freshAuthentication } from '../api/principal'
import { rateLimits, type RatePolicy } from '../api/rate-limits'
import type { ApiDescription } from './openapi'

/** Such as `10 a minute by ip`; numbers are the defaults. */
const windowsOf = ({ windows }: RatePolicy) =>
  Object.entries(windows)
    .map(([by, { limit, windowSeconds }]) => `${limit} in ${windowSeconds} s by ${by}`)
    .join(', ')

const rolesWith = (permission: string): string[] =>
  Object.entries(builtInRoles)
    .filter(([, role]) => (role.permissions as readonly string[]).includes(permission))
    .map(([name]) => name)

function accessLine(access: RouteAccess): string {
  const { who, whose } = describeAccess(access)
  return `| \`${access}\` | ${who} | ${whose} |`
}

/** Who may call what, as a page of Markdown: one line for each address of each API. */
export function permissionMatrix(apis: readonly ApiDescription[]): string {
  const lines = [
    '# Who may call what',
    '',
    'Made from the routes by `npm run contracts -- docs`.',
    '',
    '| permission | to | built-in roles that have it |',
    '| --- | --- | --- |',
    ...Object.entries(permissions).map(([name, what]) => `| \`${name}\` | ${what} | ${rolesWith(name).join(', ')} |`),
    '',
    '| access | who may call | whose things |',
    '| --- | --- | --- |',
    ...[...new Set(apis.flatMap(({ routes }) => routes.map(({ permission }) => permission)))]
      .toSorted()
      .map((access) => accessLine(access)),
    '',
    'What belongs to another person is answered as if it were not there.',
    `*Fresh*: whoever calls it has shown who they are within the last ${freshAuthentication.maxAgeSeconds} s, by a login or by`,
    `\`POST ${freshAuthentication.stepUp}\`. Else the answer is the problem \`authentication-too-old\`.`,
    '',
    '| rate limit | what it means | windows |',
    '| --- | --- | --- |',
    ...Object.entries(rateLimits).map(([name, policy]) => `| \`${name}\` | ${policy.meaning} | ${windowsOf(policy)} |`),
  ]
  for (const { title, routes } of apis) {
    lines.push(
      '',
      `## ${title}`,
      '',
      '| route | operation | access | fresh | rate limit |',
      '| --- | --- | --- | --- | --- |',
    )
    for (const { operationId, method, path, aliases = [], permission, freshAuthentication: fresh, rateLimit } of routes)
      for (const address of [{ method, path }, ...aliases])
        lines.push(
          `| \`${address.method} ${address.path}\` | ${operationId} | \`${permission}\` | ${fresh ? 'yes' : ''} | \`${rateLimit}\` |`,
        )
  }
  return `${lines.join('\n')}\n`
}
