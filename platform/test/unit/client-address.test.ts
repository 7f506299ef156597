import { describe, expect, it } from '@jest/globals'
import { canonicalAddress, clientAddressOf, networkOf, parseTrustedProxies } from '@annals/platform/client-address'

const trusted = parseTrustedProxies('10.0.0.0/8, fd00::/8,192.0.2.1')!
const nobody = parseTrustedProxies('')!

describe('an address', () => {
  it.each([
    ['203.0.113.9', '203.0.113.9'],
    [' 203.0.113.9:4711 ', '203.0.113.9'],
    ['2001:DB8:0:0:1::0001', '2001:db8::1:0:0:1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['::', '::'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['::FFFF:CB00:7109', '203.0.113.9'],
    ['::ffff:9', '0.0.0.9'],
    ['64:ff9b::203.0.113.9', '203.0.113.9'],
  ])('%s has the spelling %s', (text, canonical) => expect(canonicalAddress(text)).toBe(canonical))

  it.each(['', 'unknown', '_hidden', '203.0.113', '203.0.113.256', '1::2::3', '203.0.113.9/24', '[::1', '1.2.3.4:5:6'])(
    'is not %j',
    (text) => expect(canonicalAddress(text)).toBeUndefined(),
  )
})

describe('a network', () => {
  it.each([
    ['203.0.113.9', '203.0.113.9'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['2001:db8:1::', '2001:db8:1:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::2:3:4:5:6', '1:0:0:2::/64'],
  ])('of %s is %s', (address, network) => expect(networkOf(address)).toBe(network))
})

describe('the address of a client', () => {
  it.each([
    ['who is direct, whatever it says', '198.51.100.7', '203.0.113.9', '198.51.100.7'],
    ['behind one proxy', '10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['behind one proxy, which adds it to what the client says', '10.0.0.1', '8.8.8.8, 203.0.113.9', '203.0.113.9'],
    ['behind two proxies', '10.0.0.1', '8.8.8.8, 203.0.113.9, fd00::2', '203.0.113.9'],
    ['behind a proxy that a stranger claims to be', '10.0.0.1', '203.0.113.9, 198.51.100.7', '198.51.100.7'],
    ['behind a proxy whose connection is IPv6 for both', '::ffff:10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['behind a proxy that says nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['behind a proxy that says nonsense', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['behind two proxies, the outer of which says nonsense', '10.0.0.1', '203.0.113.9, , fd00::2', 'fd00::2'],
    ['that is a proxy itself', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['whose connection is closed', undefined, '203.0.113.9', '::'],
  ])('%s', (_, peer, forwarded, client) => expect(clientAddressOf(peer, forwarded, trusted)).toBe(client))

  it('is that of the connection where nobody is trusted', () =>
    expect(clientAddressOf('10.0.0.1', '203.0.113.9', nobody)).toBe('10.0.0.1'))
})

describe('trusted proxies', () => {
  it.each(['1', '0', 'proxy.example', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', 'fd00::/129', '0.0.0.0/0', '::/0'])(
    'are not %j',
    (text) => expect(parseTrustedProxies(text)).toBeUndefined(),
  )
})
