import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from '@jest/globals'

const root = path.join(__dirname, '../../..')
const page = readFileSync(path.join(root, 'docs/remote-calls.md'), 'utf8')
const msOf = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000 } as const

/** `4 s (`file.ts` `name`)`: what the page says, and where the code says it. */
const claims = [...page.matchAll(/([\d.]+) (ms|s|min|h) \(`([\w/.-]+)` `(\w+)`\)/g)].map(
  ([, number, unit, file, name]) => ({
    ms: Number(number) * msOf[unit as keyof typeof msOf],
    file: file!,
    name: name!,
  }),
)

it('names a deadline for every kind of call', () => {
  expect(claims.length).toBeGreaterThanOrEqual(25)
})

it.each(claims)('says of $name in $file what the code says', ({ ms, file, name }) => {
  const source = readFileSync(path.join(root, file), 'utf8')
  const value = new RegExp(`\\b${name}\\b(?: = |: )(?:field\\.integer\\()?([\\d_]+)`).exec(source)?.[1]
  expect(Number(value?.replaceAll('_', ''))).toBe(ms)
})

it('speaks of every server that a process is given the address of', () => {
  const links = readFileSync(path.join(root, 'e2e/links.mjs'), 'utf8')
  const servers = [...links.matchAll(/^ {2}[A-Z_]+: '(.+)',$/gm)].map(([, name]) => name!)
  expect(servers.length).toBeGreaterThanOrEqual(10)
  const calls = page.slice(page.indexOf('## Who calls whom'), page.indexOf('## Deadlines'))
  for (const server of servers) expect(calls).toContain(server)
})
