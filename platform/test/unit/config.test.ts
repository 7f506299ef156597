import { describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { ConfigError, field, httpFields, processFields, readConfig } from '@annals/platform/config'

const Config = z.object({
  ...processFields(3100),
  ...httpFields(3000),
  PORT: field.port(3000),
  KEY: field.key256(),
  URL: field.url('postgres'),
  BROKERS: field.brokers(),
})
const key = Buffer.alloc(32, 7)
const good = { KEY: key.toString('base64'), URL: 'postgres://u:p@h/d', BROKERS: 'a:1, b:2' }

describe('configuration', () => {
  it('is read with its defaults and in its own types', () =>
    expect(readConfig(Config, good)).toEqual({
      LOG_LEVEL: 'info',
      ENVIRONMENT: 'development',
      OPERATIONS_HOST: '127.0.0.1',
      OPERATIONS_PORT: 3100,
      HTTP_HOST: '127.0.0.1',
      HTTP_PORT: 3000,
      HSTS_SECONDS: 31_536_000,
      CORS_ORIGINS: [],
      COOKIE_MODE: 'off',
      PORT: 3000,
      KEY: key,
      URL: good.URL,
      BROKERS: ['a:1', 'b:2'],
    }))

  it('takes networks of proxies, and no count of them', () => {
    const Proxies = z.object({ TRUSTED_PROXIES: field.trustedProxies() })
    expect(readConfig(Proxies, {}).TRUSTED_PROXIES.check('127.0.0.1', 'ipv4')).toBe(false)
    const { TRUSTED_PROXIES: proxies } = readConfig(Proxies, { TRUSTED_PROXIES: '10.0.0.0/8, fd00::/8' })
    expect(proxies.check('10.1.2.3', 'ipv4')).toBe(true)
    expect(proxies.check('fd00::1', 'ipv6')).toBe(true)
    expect(proxies.check('11.0.0.1', 'ipv4')).toBe(false)
    for (const wrong of ['1', '10.0.0.0/8,0.0.0.0/0'])
      expect(() => readConfig(Proxies, { TRUSTED_PROXIES: wrong })).toThrow(/TRUSTED_PROXIES: must be addresses/)
  })

  it('takes origins as browsers write them, and nothing that is wider', () => {
    const Origins = z.object({ CORS_ORIGINS: field.origins() })
    const read = (CORS_ORIGINS: string) => readConfig(Origins, { CORS_ORIGINS }).CORS_ORIGINS
    expect(read('https://app.example.org, http://localhost:5173,http://[::1]:8080')).toEqual([
      'https://app.example.org',
      'http://localhost:5173',
      'http://[::1]:8080',
    ])
    for (const wrong of [
      '*',
      'null',
      'https://*.example.org',
      'https://app.example.org/',
      'https://app.example.org:443',
      'https://App.example.org',
      'https://u@app.example.org',
      'app.example.org',
      'https://app.example.org,*',
      'file:///tmp',
      'data:text/html,x',
    ])
      expect(() => read(wrong)).toThrow(/CORS_ORIGINS: must be origins/)
  })

  it('takes one key or several, and tells what is none without showing it', () => {
    const Keys = z.object({ KEYS: field.keys256() })
    const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
    const read = (...keys: Buffer[]) =>
      readConfig(Keys, { KEYS: keys.map((one) => one.toString('base64')).join(', ') }).KEYS
    expect(read(one)).toEqual([one])
    expect(read(two, one)).toEqual([two, one])
    expect(() => read(one, one)).toThrow('KEYS: must not name a key twice')
    expect(() => read(one, Buffer.alloc(31))).toThrow('KEYS: must be 32 bytes in base64')
    expect(() => readConfig(Keys, { KEYS: `${one.toString('base64')},` })).toThrow('KEYS: must be 32 bytes')
    expect(() => read(...Array.from({ length: 9 }, (_, i) => Buffer.alloc(32, i)))).toThrow('8 keys at most')
  })

  it('tells every fault at once, and no value', () => {
    const read = () => readConfig(Config, { KEY: 'c2hvcnQ=', URL: 'http://secret@host', PORT: 'x', BROKERS: 'a' })
    expect(read).toThrow(ConfigError)
    let message = ''
    try {
      read()
    } catch (error) {
      message = (error as Error).message
    }
    for (const name of ['KEY', 'URL', 'PORT', 'BROKERS']) expect(message).toContain(`  ${name}: `)
    for (const value of ['c2hvcnQ=', 'secret']) expect(message).not.toContain(value)
  })

  it('says of what is missing or empty that it is not set', () => {
    expect(() => readConfig(Config, { ...good, KEY: '' })).toThrow('KEY: is not set')
    expect(() => readConfig(Config, { ...good, URL: undefined })).toThrow('URL: is not set')
  })

  it('reads nothing but what it names', () =>
    expect(Object.keys(readConfig(Config, { ...good, HOME: '/root' }))).not.toContain('HOME'))
})
