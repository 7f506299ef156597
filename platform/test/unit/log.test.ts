import { describe, expect, it } from '@jest/globals'
import { createLogger } from '@annals/platform/log'

function lines(write: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const written: string[] = []
  write(createLogger('test', 'info', { write: (line: string) => void written.push(line) }))
  return written.map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe('a log line', () => {
  it('is JSON with its service, level by name and time in UTC', () => {
    const [line] = lines((log) => log.info({ count: 1 }, 'done'))
    expect(line).toMatchObject({ service: 'test', level: 'info', msg: 'done', count: 1 })
    expect(line!['time']).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  })

  it('never shows secrets or personal data, at three depths', () => {
    const secret = { password: 'pw-1', email: 'a@b.c', token: 'tok', accessToken: 'at', name: 'Anna' }
    const text = JSON.stringify(lines((log) => log.info({ ...secret, body: secret, request: { body: secret } }, 'x')))
    for (const value of Object.values(secret)) expect(text).not.toContain(`"${value}"`)
    expect(text).toContain('[redacted]')
  })

  it('tells of an error its type, message, stack, code and cause', () => {
    class BrokerGone extends Error {
      override name = 'BrokerGone'
      code = 'ECONNREFUSED'
    }
    const [line] = lines((log) => log.warn({ err: new BrokerGone('gone', { cause: new Error('refused') }) }, 'x'))
    const { stack, ...said } = line!['err'] as Record<string, unknown>
    expect(said).toEqual({ type: 'BrokerGone', message: 'gone: refused', code: 'ECONNREFUSED' })
    expect(stack).toMatch(/gone[^]*caused by: Error: refused/)
  })

  it('names no trace where there is none', () =>
    expect(Object.keys(lines((log) => log.info('x'))[0]!)).not.toContain('traceId'))
})
