import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { composeFaults, imageFaults } from '../../../checks/compose-check.mjs'

const root = path.join(__dirname, '../../../..')
const compose = readFileSync(path.join(root, 'docker-compose.yml'), 'utf8')
const envExample = readFileSync(path.join(root, '.env.example'), 'utf8')

const faultsOf = (yaml: string, example = envExample): string[] =>
  composeFaults(yaml, { envExample: example, exists: () => true })

/** The compose file with one change, which has to be one. */
function changed(from: string | RegExp, to: string): string {
  const result = compose.replace(from, to)
  expect(result).not.toBe(compose)
  return result
}

describe('the check of the images', () => {
  const dockerfile = readFileSync(path.join(root, 'deploy/Dockerfile'), 'utf8')

  it('accepts them as they are', () => expect(imageFaults(dockerfile)).toEqual([]))

  it.each(['COPY dev/sandboxes dev/sandboxes', 'COPY dev dev', 'COPY --from=sandboxes /annals ./'])(
    'refuses a development sandbox in the one for production: %s',
    (line) => {
      expect(imageFaults(`${dockerfile}${line}\n`)).toEqual([
        `deploy/Dockerfile: the production image copies ${line.replace('COPY ', '')}.`,
      ])
    },
  )

  it('refuses a service on the image that does not hold it', () => {
    expect(faultsOf(changed('target: sandboxes', 'target: production'))).toEqual([
      'payment-gateway: runs dev/sandboxes/payment-gateway/main.mjs, which is in the image sandboxes.',
      'sms: runs dev/sandboxes/sms/main.mjs, which is in the image sandboxes.',
    ])
  })
})

describe('the check of docker-compose.yml', () => {
  it('accepts the file as it is', () => expect(faultsOf(compose)).toEqual([]))

  it('refuses a port that others can reach', () => {
    expect(
      faultsOf(changed("'127.0.0.1:${ANNALS_PORT_COMMAND:-3000}:3000'", "'${ANNALS_PORT_COMMAND:-3000}:3000'")),
    ).toEqual(['command: publishes ${ANNALS_PORT_COMMAND:-3000}:3000 beyond the loopback interface.'])
  })

  it('refuses a variable of .env.example that reaches no service', () => {
    expect(faultsOf(changed('      ACCESS_TOKEN_SECONDS: ${ACCESS_TOKEN_SECONDS:-}\n', ''))).toEqual([
      'ACCESS_TOKEN_SECONDS of .env.example reaches no service.',
    ])
    // Those of npm's commands are set in a shell.
    expect(faultsOf(compose, `${envExample}\n# ANNALS_OF_TOMORROW=1\n`)).toEqual([])
  })

  it('refuses a secret in the file, and a default for one', () => {
    const literal = changed(
      'POSTGRES_PASSWORD: ${POSTGRES_ADMIN_PASSWORD:?see .env.example}',
      'POSTGRES_PASSWORD: hunter2',
    )
    expect(faultsOf(literal)).toEqual(['postgres: POSTGRES_PASSWORD has a value in the file.'])
    const standard = changed('MASTER_KEY: ${MASTER_KEY:?see .env.example}', 'MASTER_KEY: ${MASTER_KEY:-AAAA}')
    expect(faultsOf(standard)).toContainEqual(expect.stringContaining('MASTER_KEY has a value in the file'))
  })

  it('refuses a password inside an address', () => {
    const faults = faultsOf(changed('redis://:${REDIS_PASSWORD:?see .env.example}@', 'redis://:hunter2@'))
    expect(faults).toContainEqual('command: REDIS_URL has a password in the file.')
  })

  it('refuses to wait for what is not there, has no health check, or never ends', () => {
    expect(faultsOf(changed('postgres: { condition: service_healthy }', 'pg: { condition: service_healthy }'))).toEqual(
      ['databases: depends on pg, which is not there.'],
    )
    const endless = changed(
      'payment-gateway: { condition: service_healthy }',
      'payment-gateway: { condition: service_completed_successfully }',
    )
    expect(faultsOf(endless)).toEqual(['command: waits for the end of payment-gateway.'])
  })

  it('refuses services that wait for each other', () => {
    const relayNeeds = '      kafka: { condition: service_healthy }\n\n  # A second route'
    const cyclic = changed(
      relayNeeds,
      relayNeeds.replace('\n\n', '\n      projector: { condition: service_healthy }\n\n'),
    )
    expect(faultsOf(cyclic)).toEqual(['relay > projector > relay wait for each other.'])
  })

  it('refuses a key that compose does not know', () => {
    expect(faultsOf(changed('stop_grace_period: 60s', 'stop_grace_perod: 60s')).join()).toContain('stop_grace_perod')
  })

  it('refuses a variable that .env.example does not name, and a secret in that file', () => {
    expect(faultsOf(compose, envExample.replace('RESERVATION_KEY=\n', ''))).toEqual([
      '.env.example does not name RESERVATION_KEY.',
    ])
    expect(faultsOf(compose, envExample.replace('REDIS_PASSWORD=\n', 'REDIS_PASSWORD=x\n'))).toEqual([
      '.env.example has a value for REDIS_PASSWORD.',
    ])
  })

  it('refuses a program without a source', () => {
    const exists = (file: string) => !file.includes('relay')
    expect(composeFaults(compose, { envExample, exists })).toEqual([
      'relay: command-service/dist/relay/main.js has no source.',
      'relay-2: command-service/dist/relay/main.js has no source.',
    ])
  })
})
