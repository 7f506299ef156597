import { randomBytes, generateKeyPairSync } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { homedir } from 'node:os'
import { join, dirname, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Trouble } from './terminal/trouble.mjs'

/** The repository's root. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Downloads shared by all checkouts of this user. */
export const cacheDir = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'annals')

/** Ports of the profile `dev`; each can be moved with ANNALS_PORT_<NAME>, for example ANNALS_PORT_POSTGRES=5433. */
const defaultPorts = {
  command: 3000,
  query: 3003,
  notifier: 3004,
  paymentGateway: 3010,
  commandOperations: 3100,
  relayOperations: 3101,
  projectorOperations: 3102,
  queryOperations: 3103,
  notifierOperations: 3104,
  eventstore: 2113,
  kafka: 9092,
  kafkaController: 9093,
  kafka2: 9094,
  kafkaController2: 9095,
  kafka3: 9096,
  kafkaController3: 9097,
  postgres: 54320,
  redis: 63790,
  smtp: 1025,
  inbox: 8025,
  sms: 8026,
}

/** Less than this and a server's first write may fail in a way nobody can read. A stack with demo data takes about 300 MB. */
const diskSpaceNeededMb = 500

/**
 * @typedef {typeof defaultPorts} Ports
 * @typedef {object} Profile everything one stack owns; two profiles share nothing but the download cache
 * @property {string} name
 * @property {string} dir `.annals/<name>`
 * @property {string} logs
 * @property {string} data one folder per server
 * @property {string} pids
 * @property {string} envFile KEY=VALUE lines, mode 0600
 * @property {Ports} ports
 * @property {Record<string, string>} secrets made once, kept in `secrets.json`, mode 0600
 */

/**
 * Opens a profile, making its folders, ports and secrets on the first use. Ports are remembered, so that another command can
 * find the running servers.
 *
 * @param {string} name `dev`, or `test-<pid>` and the like
 * @param {{ ports?: 'default' | 'free' | Partial<Ports> }} [options] `free` asks the system for unused ports
 * @returns {Promise<Profile>}
 */
export async function openProfile(name, { ports = 'default' } = {}) {
  if (!/^[a-z0-9][a-z0-9-]{0,40}$/.test(name)) throw new Trouble(`"${name}" cannot be the name of a profile.`)
  const dir = join(root, '.annals', name)
  const profile = { name, dir, logs: join(dir, 'logs'), data: join(dir, 'data'), pids: join(dir, 'pids') }
  for (const folder of [profile.logs, profile.data, profile.pids]) mkdirSync(folder, { recursive: true })
  const { bavail, bsize } = statfsSync(dir)
  if ((bavail * bsize) / 2 ** 20 < diskSpaceNeededMb) {
    throw new Trouble(`The disk has less than ${diskSpaceNeededMb} MB left.`, {
      remedy: 'free some space (`df -h .` shows how much), or remove old data with `npm run stack -- reset`.',
    })
  }
  return {
    ...profile,
    envFile: join(dir, 'env'),
    ports: await choosePorts(join(dir, 'ports.json'), ports),
    secrets: keptSecrets(join(dir, 'secrets.json')),
  }
}

/** @param {string} name @returns {boolean} whether a profile of this name was ever opened here */
export const profileExists = (name) => existsSync(join(root, '.annals', name))

/** Deletes a profile whose processes have been stopped. @param {Profile} profile */
export const removeProfile = ({ dir }) => rmSync(dir, { recursive: true, force: true })

/** @param {string} path @returns {string} the path as a person at the root would type it */
export const shown = (path) =>
  relative(process.cwd(), path).startsWith('..') ? path : relative(process.cwd(), path) || '.'

async function choosePorts(file, wanted) {
  const kept = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  // A profile that a former release made has no port for what came since.
  const names = Object.keys(defaultPorts).filter((name) => kept[name] === undefined)
  if (names.length === 0) return kept
  if (wanted === 'free' || existsSync(file)) {
    const free = await freePorts(names.length)
    const ports = { ...kept, ...Object.fromEntries(names.map((name, index) => [name, free[index]])) }
    writePrivately(file, JSON.stringify(ports))
    return ports
  }
  const ports = { ...defaultPorts, ...(wanted === 'default' ? {} : wanted) }
  for (const name of Object.keys(defaultPorts)) {
    const variable = `ANNALS_PORT_${name.toUpperCase()}`
    const value = process.env[variable]
    if (value === undefined) continue
    if (!/^\d{1,5}$/.test(value) || Number(value) < 1 || Number(value) > 65_535) {
      throw new Trouble(`${variable} has to be a port, 1 to 65535.`)
    }
    ports[name] = Number(value)
  }
  return ports
}

/**
 * Ports nobody listens on now, all different. They lie under the ephemeral range (32768 and up), so that no outgoing
 * connection takes one before its server has started.
 *
 * @param {number} count
 * @returns {Promise<number[]>}
 */
export async function freePorts(count) {
  const ports = []
  let port = 20_000 + (randomBytes(2).readUInt16BE() % 11_000)
  for (let tried = 0; ports.length < count; tried++, port++) {
    if (tried > 2_000) throw new Trouble('No free ports were found between 20000 and 33000.')
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

/** A killed process keeps its sockets for a moment: its main thread has ended, others of it have not. */
const socketsCloseWithinMs = 2_000

/** @param {number} port on 127.0.0.1 @returns {Promise<boolean>} whether it is free, or becomes so in a moment */
export async function becomesFree(port) {
  const deadline = Date.now() + socketsCloseWithinMs
  while (!(await isFree(port))) {
    if (Date.now() > deadline) return false
    await delay(50)
  }
  return true
}

/** @param {number} port on 127.0.0.1 @returns {Promise<boolean>} */
export function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** Those of the profile; what a newer release needs beside them is made. */
function keptSecrets(file) {
  const kept = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  const secrets = { ...freshSecrets(), ...kept }
  if (Object.keys(secrets).length > Object.keys(kept).length) writePrivately(file, JSON.stringify(secrets, null, 2))
  return secrets
}

/** @returns {Record<string, string>} random secrets of the system, and passwords that need no escaping in a URL */
export function freshSecrets() {
  const password = () => randomBytes(18).toString('base64url')
  const { privateKey } = generateKeyPairSync('ed25519')
  return {
    MASTER_KEY: randomBytes(32).toString('base64'),
    SECRETS_MASTER_KEY: randomBytes(32).toString('base64'),
    PASSWORD_PEPPER: randomBytes(32).toString('base64'),
    RESERVATION_KEY: randomBytes(32).toString('base64'),
    REFRESH_TOKEN_KEY: randomBytes(32).toString('base64'),
    CONSISTENCY_TOKEN_KEY: randomBytes(32).toString('base64'),
    JWT_PRIVATE_JWK: JSON.stringify({ ...privateKey.export({ format: 'jwk' }), kid: randomBytes(8).toString('hex') }),
    PAYMENT_GATEWAY_TOKEN: password(),
    TWILIO_ACCOUNT_SID: `AC${randomBytes(16).toString('hex')}`,
    TWILIO_AUTH_TOKEN: randomBytes(16).toString('hex'),
    postgresAdmin: password(),
    annals_command: password(),
    annals_keys_reader: password(),
    annals_projector: password(),
    annals_query: password(),
    annals_notify: password(),
    redis: password(),
  }
}

/** Writes a file that only its owner reads, whole or not at all. @param {string} file @param {string} text */
export function writePrivately(file, text) {
  const draft = `${file}.${process.pid}.new`
  writeFileSync(draft, text, { mode: 0o600 })
  chmodSync(draft, 0o600)
  renameSync(draft, file)
}
