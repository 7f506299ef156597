import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { socketFactory } from '../../src/kafka/sockets'

describe('a socket to a broker', () => {
  it('that was closed keeps nothing, however often it is let go of', async () => {
    const server = createServer((connection) => connection.destroy()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const socket = socketFactory({ host: '127.0.0.1', port, ssl: false as never, onConnect: () => undefined })
    await once(socket.resume(), 'close')
    for (let time = 0; time < 20; time++) expect(socket.unref()).toBe(socket)
    expect(socket.listenerCount('connect')).toBe(0)
    server.close()
    await once(server, 'close')
  })
})
