import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { eventually, startSilentProxy, type SilentProxy } from '@annals/platform/testing'

let server: Server
let proxy: SilentProxy
let sockets: Socket[]
/** What the server has heard, over all connections. */
let heard: string

beforeEach(async () => {
  heard = ''
  sockets = []
  server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      heard += String(data)
      socket.write(`<${String(data)}>`)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  proxy = await startSilentProxy({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
})
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await proxy.close()
  server.close()
})

function open() {
  const socket = connect(proxy.port, proxy.host)
  sockets.push(socket)
  const told = { text: '' }
  socket.on('error', () => undefined)
  socket.on('data', (data) => (told.text += String(data)))
  return { socket, told }
}

it.each(['both', 'answers', 'requests'] as const)(
  '%s: nothing is lost or told twice when it comes back',
  async (what) => {
    const { socket, told } = open()
    socket.write('a')
    await eventually(() => expect(told.text).toBe('<a>'))
    for (const word of ['b', 'c']) {
      proxy.silence('all', what)
      const [before, known] = [heard, told.text]
      socket.write(word)
      const late = open()
      late.socket.write('n')
      if (what === 'answers') await eventually(() => expect(heard).toBe(`${before}${word}n`))
      proxy.restore()
      await eventually(() => expect(told.text).toBe(`${known}<${word}>`))
      await eventually(() => expect(late.told.text).toBe('<n>'))
      // A restore of what already flows changes nothing.
      proxy.restore()
      socket.write('!')
      await eventually(() => expect(told.text).toBe(`${known}<${word}><!>`))
    }
    expect([...heard].toSorted().join('')).toBe('!!abcnn')
  },
)

it('leaves what is dead dead, and lets new ones through', async () => {
  const { socket, told } = open()
  socket.write('a')
  await eventually(() => expect(told.text).toBe('<a>'))
  proxy.silence('established')
  socket.write('b')
  const next = open()
  next.socket.write('c')
  await eventually(() => expect(next.told.text).toBe('<c>'))
  proxy.restore()
  next.socket.write('d')
  await eventually(() => expect(next.told.text).toBe('<c><d>'))
  expect([heard, told.text]).toEqual(['acd', '<a>'])
})
