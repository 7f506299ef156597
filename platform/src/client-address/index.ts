import { BlockList, isIP } from 'node:net'

/** Networks of proxies that are believed. */
export type TrustedProxies = Pick<BlockList, 'check'>

/** IPv4 inside IPv6: as a socket for both families shows it (RFC 4291 § 2.5.5.2), and as NAT64 does (RFC 6052). */
const embeddedPrefixes = ['::ffff:', '64:ff9b::']

/**
 * @param text an address, with brackets, a port or a zone where a proxy adds them.
 * @returns its one spelling: IPv4 with dots, also where it came inside IPv6; IPv6 in lower case and short (RFC 5952);
 *   `undefined` when it is no address.
 */
export function canonicalAddress(text: string): string | undefined {
  const bare = text
    .trim()
    .replace(/^\[(.*)\](?::\d{1,5})?$/, '$1')
    .replace(/^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/, '$1')
    // A zone (`%eth0`) means something on one machine only.
    .replace(/%.*$/, '')
  const family = isIP(bare)
  if (family !== 6) return family === 4 ? bare : undefined
  const short = new URL(`http://[${bare}]`).hostname.slice(1, -1)
  const embedded = embeddedPrefixes.find((prefix) => short.startsWith(prefix))
  return (embedded && ipv4Of(short.slice(embedded.length))) ?? short
}

/** @param text the last 32 bits as IPv6 writes them, such as `c000:201`. */
function ipv4Of(text: string): string | undefined {
  const [, high = '', low = ''] = /^(?:([\da-f]{1,4}):)?([\da-f]{1,4})$/.exec(text) ?? []
  if (low === '') return undefined
  const bits = [high, low].map((group) => Number.parseInt(group || '0', 16))
  return bits.flatMap((group) => [group >> 8, group & 0xff]).join('.')
}

/**
 * What counts as one client: one IPv4 address, or one /64 of IPv6. A single connection gets a /64 or more, and may
 * use any address in it.
 * @param address canonical. @returns the address, or the network such as `2001:db8:0:1::/64`
 */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address
  const [before = '', after] = address.split('::')
  const groups = before === '' ? [] : before.split(':')
  const rest = after === undefined || after === '' ? [] : after.split(':')
  const missing = after === undefined ? 0 : 8 - groups.length - rest.length
  const network = [...groups, ...Array.from({ length: missing }, () => '0'), ...rest].slice(0, 4)
  return `${network.join(':')}::/64`
}

/**
 * @param text addresses and networks (CIDR), comma separated; nothing: nobody is believed.
 * @returns `undefined` when one of them is none, or holds every address: then each client would choose its own.
 */
export function parseTrustedProxies(text: string): BlockList | undefined {
  const list = new BlockList()
  for (const part of text.split(',').filter((some) => some.trim() !== '')) {
    const [, address, prefix] = /^\s*([^/\s]+)(?:\/(\d{1,3}))?\s*$/.exec(part) ?? []
    const family = isIP(address ?? '')
    if (family === 0) return undefined
    const bitsMax = family === 4 ? 32 : 128
    const bits = prefix === undefined ? bitsMax : Number(prefix)
    if (bits < 1 || bits > bitsMax) return undefined
    list.addSubnet(address!, bits, family === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}

/**
 * The address of the client that sent a request. Each proxy appends the address of whoever spoke to it, so the list is
 * read from its end, and only as long as the one who spoke is a trusted proxy. What a direct client sends in its place
 * is never looked at.
 * @param peer address at the other end of the connection.
 * @param forwardedFor `X-Forwarded-For`, as it came.
 * @returns canonical. Where a trusted proxy names no address, or only proxies, the last one that is known; `::`, the
 *   unspecified address, when the connection is closed already.
 */
export function clientAddressOf(
  peer: string | undefined,
  forwardedFor: string | readonly string[] | undefined,
  trusted: TrustedProxies,
): string {
  let client = canonicalAddress(peer ?? '')
  if (client === undefined) return '::'
  // Most requests: nobody has to be looked up among those who are trusted.
  if (forwardedFor === undefined) return client
  const named = [forwardedFor ?? []].flat().join(',').split(',')
  while (named.length > 0 && isTrusted(client, trusted)) {
    const before = canonicalAddress(named.pop()!)
    if (before === undefined) break
    client = before
  }
  return client
}

const isTrusted = (address: string, trusted: TrustedProxies) =>
  trusted.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
