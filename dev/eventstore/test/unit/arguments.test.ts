import { describe, expect, it } from '@jest/globals'
import { parseArguments } from '../../src/arguments'

describe('parseArguments', () => {
  it('needs a data directory and knows the rest', () =>
    expect(parseArguments(['--data', '/data'])).toEqual({ port: 2113, host: '127.0.0.1', dataDirectory: '/data' }))
  it('takes what is given', () =>
    expect(parseArguments(['--data', 'd', '--port', '0', '--host', '::', '--max-append-size', '2048'])).toEqual({
      port: 0,
      host: '::',
      dataDirectory: 'd',
      appendSizeMax: 2048,
    }))
  it('reports all faults together', () =>
    expect(parseArguments(['--port', 'x'])).toEqual({
      fault: expect.stringMatching(/--port: [^\n]*\n--data: is required/),
    }))
  it.each([['--port', '65536'], ['--port', '-1'], ['--max-append-size', '0'], ['--unknown', '1'], ['stray']])(
    'refuses %s %s',
    (...args) => expect(parseArguments(['--data', 'd', ...args])).toHaveProperty('fault'),
  )
})
