/**
 * Checks docker-compose.yml without Docker: its form, its references, and what this project asks of it (no secret in it, nothing
 * published beyond the loopback interface, every server with a health check, every variable of .env.example handed to a service). Where the compose plugin is present, it has its
 * say too.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { root } from '../profile.mjs'

const text = z.string().min(1)
const duration = z.string().regex(/^(\d+(ms|s|m|h))+$/, 'must be a duration such as 30s')
const condition = z.enum(['service_started', 'service_healthy', 'service_completed_successfully'])
const command = z.array(text).min(1)

/** The part of the compose specification that this project uses; another key is a mistake until it is added here. */
const Service = z.strictObject({
  image: text,
  platform: text.optional(),
  build: z.strictObject({ context: text, dockerfile: text, target: text }).optional(),
  command: command.optional(),
  profiles: z.array(text).optional(),
  environment: z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string()).optional(),
  ports: z.array(z.string()).optional(),
  volumes: z
    .array(z.string().regex(/^[a-z-]+:(\/[\w/.-]+|\$\{[A-Z_]+:-\/[\w/.-]+\})$/, 'must be a named volume'))
    .optional(),
  tmpfs: z.array(text).optional(),
  depends_on: z.record(z.string(), z.strictObject({ condition })).optional(),
  healthcheck: z
    .strictObject({
      test: z.tuple([z.enum(['CMD', 'CMD-SHELL']), text], text),
      interval: duration,
      timeout: duration,
      retries: z.int().min(1),
      start_period: duration.optional(),
    })
    .optional(),
  restart: z.enum(['no', 'unless-stopped']),
  init: z.boolean().optional(),
  read_only: z.boolean().optional(),
  cap_drop: z.array(text).optional(),
  security_opt: z.array(text).optional(),
  stop_grace_period: duration.optional(),
  stop_signal: z
    .string()
    .regex(/^SIG[A-Z]+$/)
    .optional(),
  shm_size: text.optional(),
  logging: z.strictObject({ driver: text, options: z.record(text, text) }),
})
const Compose = z.object({
  name: text,
  services: z.record(z.string(), Service),
  volumes: z.record(z.string(), z.null()),
})

const secretName = /PASSWORD|SECRET|TOKEN$|_KEY$|JWK$|REDISCLI_AUTH/

/**
 * @param {string} yaml the compose file
 * @param {{ envExample: string, exists: (path: string) => boolean }} context the text of .env.example; whether a path of the
 *   repository exists
 * @returns {string[]} one sentence per fault
 */
export function composeFaults(yaml, { envExample, exists }) {
  const result = Compose.loose().safeParse(parse(yaml, { merge: true }))
  if (!result.success) return z.prettifyError(result.error).split('\n').filter(Boolean)
  const { services, volumes } = result.data
  const faults = []
  for (const [name, service] of Object.entries(services)) {
    const say = (fault) => faults.push(`${name}: ${fault}.`)
    for (const [other, { condition: wanted }] of Object.entries(service.depends_on ?? {})) {
      const target = services[other]
      if (!target) say(`depends on ${other}, which is not there`)
      else if (wanted === 'service_healthy' && !target.healthcheck)
        say(`waits for the health of ${other}, which has no check`)
      else if (wanted === 'service_completed_successfully' && target.restart !== 'no')
        say(`waits for the end of ${other}`)
    }
    if (service.restart !== 'no' && !service.healthcheck) say('has no health check')
    for (const port of service.ports ?? []) {
      if (!port.startsWith('127.0.0.1:')) say(`publishes ${port} beyond the loopback interface`)
    }
    for (const volume of service.volumes ?? []) {
      if (!(volume.split(':')[0] in volumes)) say(`uses the volume ${volume}, which is not declared`)
    }
    for (const [variable, value] of Object.entries(service.environment ?? {})) {
      if (secretName.test(variable) && !isReference(value)) say(`${variable} has a value in the file`)
      const password = /^\w+:\/\/[^:@/]*:(.+)@/.exec(value)?.[1]
      if (password !== undefined && !isReference(password)) say(`${variable} has a password in the file`)
    }
    for (const file of service.build ? [service.build.dockerfile] : []) if (!exists(file)) say(`${file} is not there`)
    const program = service.build && service.command?.[0]
    const target = program?.startsWith('dev/sandboxes/') ? 'sandboxes' : 'production'
    if (service.build && service.build.target !== target) say(`runs ${program}, which is in the image ${target}`)
    if (program && !exists(program.replace('/dist/', '/src/').replace(/\.js$/, '.ts'))) say(`${program} has no source`)
  }
  return [...faults, ...cycles(services), ...undocumented(yaml, envExample), ...unused(result.data, yaml, envExample)]
}

/** A secret may be a reference that stops compose when it is missing, or one without a default. */
const isReference = (value) => /^\$\{[A-Z_]+(:\?[^}]+|:-)\}$/.test(value)

function cycles(services) {
  const done = new Set()
  const found = []
  const visit = (name, path) => {
    if (path.includes(name)) return void found.push(`${[...path, name].join(' > ')} wait for each other.`)
    if (done.has(name)) return
    for (const other of Object.keys(services[name]?.depends_on ?? {})) visit(other, [...path, name])
    done.add(name)
  }
  for (const name of Object.keys(services)) visit(name, [])
  return found
}

/** Where .env.example begins to speak of variables that are set in a shell, for npm's commands, and not in .env. */
const shellOnly = /^# ---- npm start/m

/** @returns {string[]} variables that .env.example names */
const documentedIn = (envExample) => [...envExample.matchAll(/^#? ?([A-Z][A-Z0-9_]+)=/gm)].map(([, name]) => name)

/** A variable that can be set in .env and reaches no service changes nothing, and nobody is told. */
function unused({ services }, yaml, envExample) {
  const taken = new Set([
    ...[...yaml.matchAll(/\$\{([A-Z][A-Z0-9_]*)/g)].map(([, name]) => name),
    // Compose gives these a value of its own.
    ...Object.values(services).flatMap(({ environment }) => Object.keys(environment ?? {})),
  ])
  return documentedIn(envExample.split(shellOnly)[0])
    .filter((name) => !taken.has(name))
    .map((name) => `${name} of .env.example reaches no service.`)
}

function undocumented(yaml, envExample) {
  const documented = new Set(documentedIn(envExample))
  const used = new Set([...yaml.matchAll(/\$\{([A-Z][A-Z0-9_]*)/g)].map(([, name]) => name))
  const faults = [...used].filter((name) => !documented.has(name)).map((name) => `.env.example does not name ${name}.`)
  for (const [, name, value] of envExample.matchAll(/^([A-Z][A-Z0-9_]+)=(.*)$/gm)) {
    if (secretName.test(name) && value !== '') faults.push(`.env.example has a value for ${name}.`)
  }
  return faults
}

/** @param {string} dockerfile @returns {string[]} one sentence per development sandbox that its last stage holds */
export function imageFaults(dockerfile) {
  const stages = dockerfile.split(/^FROM /m).slice(1)
  const last = stages.at(-1) ?? ''
  return [...last.matchAll(/^COPY (.*(?:sandbox|\bdev dev\b).*)$/gm)].map(
    ([, what]) => `deploy/Dockerfile: the production image copies ${what}.`,
  )
}

function checkFiles() {
  const read = (file) => readFileSync(join(root, file), 'utf8')
  const faults = composeFaults(read('docker-compose.yml'), {
    envExample: read('.env.example'),
    exists: (path) => existsSync(join(root, path)),
  })
  for (const [, paths] of read('deploy/Dockerfile').matchAll(/^COPY (?!--)(.+) \S+$/gm)) {
    for (const path of paths.split(' '))
      if (!existsSync(join(root, path))) faults.push(`deploy/Dockerfile copies ${path}.`)
  }
  return [...faults, ...imageFaults(read('deploy/Dockerfile')), ...opinionOfCompose(read('.env.example'))]
}

/** @returns {string[]} what the compose plugin says, where there is one */
function opinionOfCompose(envExample) {
  const env = { ...process.env }
  for (const [, name] of envExample.matchAll(/^([A-Z][A-Z0-9_]+)=$/gm)) env[name] = 'checked'
  const run = (args) => execFileSync('docker', ['compose', ...args], { cwd: root, env, stdio: 'pipe', timeout: 20_000 })
  try {
    run(['version'])
  } catch {
    return []
  }
  try {
    run(['-f', 'docker-compose.yml', 'config', '--quiet'])
    return []
  } catch (error) {
    return [`docker compose config: ${String(error.stderr).trim()}`]
  }
}

if (process.argv[1] === import.meta.filename) {
  const faults = checkFiles()
  for (const fault of faults) console.error(fault)
  console.log(`docker-compose.yml: ${faults.length} faults.`)
  if (faults.length > 0) process.exitCode = 1
}
