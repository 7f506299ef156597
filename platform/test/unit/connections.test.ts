import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { BlockList, connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, it } from '@jest/globals'
import { boundConnections } from '../../src/api/connections'
import { eventually } from '../../src/testing'

let server: Server
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})

async function start(trusted: BlockList, limits: { connectionsMax: number; perAddressMax: number }) {
  server = createServer((_, response) => response.end('served'))
  boundConnections(server, trusted, limits)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
}

/** Opens connections that say nothing. */
async function open(count: number, localAddress = '127.0.0.1') {
  const { port } = server.address() as AddressInfo
  const opened = Array.from({ length: count }, () => connect({ port, host: '127.0.0.1', localAddress }))
  sockets.push(...opened)
  for (const socket of opened) socket.on('error', () => undefined)
  await Promise.all(opened.map((socket) => once(socket, 'connect')))
}
const held = () =>
  new Promise<number>((resolve, reject) => server.getConnections((e, n) => (e ? reject(e) : resolve(n))))
const serves = async () =>
  (
    await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { headers: { connection: 'close' } })
  ).text()

it('holds so many silent connections of one address, and others have room', async () => {
  await start(new BlockList(), { connectionsMax: 100, perAddressMax: 5 })
  await open(40, '127.0.0.2')
  await eventually(async () => expect(await held()).toBe(5))
  expect(await serves()).toBe('served')
})

it('takes new ones when old ones have closed', async () => {
  await start(new BlockList(), { connectionsMax: 100, perAddressMax: 5 })
  await open(5)
  await expect(serves()).rejects.toThrow()
  sockets.pop()!.destroy()
  await eventually(async () => expect(await serves()).toBe('served'))
})

it('does not count a proxy that is trusted, only all connections together', async () => {
  const trusted = new BlockList()
  trusted.addAddress('127.0.0.1')
  await start(trusted, { connectionsMax: 20, perAddressMax: 5 })
  await open(40)
  await eventually(async () => expect(await held()).toBe(20))
})
