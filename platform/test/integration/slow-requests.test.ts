import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals'
import type { FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'
import { createApi, routeDefiner, type ApiTypes } from '@annals/platform/api'
import { noLimits } from '@annals/platform/rate-limit'
import { createLogger } from '@annals/platform/log'
import { createOperations } from '@annals/platform/process'

jest.setTimeout(60_000)

const head = 'POST /things HTTP/1.1\r\nhost: annals\r\n'
const slowly = {
  body: [`${head}content-type: application/json\r\ncontent-length: 1000\r\n\r\n{`, ' '],
  head: [head, 'x-slow: 1\r\n'],
  nothing: ['', ''],
} as const

let api: FastifyInstance
let operations: FastifyInstance
beforeAll(async () => {
  api = createApi({
    log: createLogger('test', 'silent'),
    metrics: new Registry(),
    problems: { 'request-timeout': { status: 408, title: 'Too slow' } },
    problemType: (code) => `urn:test:${code}`,
    toProblem: () => undefined,
    access: { authenticate: async () => undefined, permits: () => false, userOf: () => '' },
    limits: noLimits,
    deps: undefined,
    routes: [
      routeDefiner<ApiTypes, undefined>()({
        operationId: 'post',
        method: 'POST',
        path: '/things',
        summary: '',
        tag: '',
        permission: 'public',
        rateLimit: 'none',
        problems: [],
        response: { status: 204 },
        handle: async () => ({}),
      }),
    ],
  })
  await api.listen({ host: '127.0.0.1', port: 0 })
  operations = createOperations(new Registry()).app
  await operations.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(async () => {
  await api.close()
  await operations.close()
})

/** @returns seconds until the server has cut it off. */
async function cutOffAfter(server: FastifyInstance, [first, next]: readonly [string, string]): Promise<number> {
  const began = performance.now()
  const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1').resume()
  socket.on('error', () => undefined)
  if (first) socket.write(first)
  // A byte now and then: the connection is never idle.
  const trickle = setInterval(() => next && socket.writable && socket.write(next), 500)
  await once(socket, 'close')
  clearInterval(trickle)
  return (performance.now() - began) / 1_000
}

it('cuts off whoever sends a request for longer than 15 s, whatever part of it', async () => {
  const works = [api, operations].flatMap((server) => Object.values(slowly).map((way) => cutOffAfter(server, way)))
  for (const seconds of await Promise.all(works)) {
    expect(seconds).toBeGreaterThan(14)
    expect(seconds).toBeLessThan(20)
  }
})
