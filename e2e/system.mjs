import { rmSync } from 'node:fs'
import { buildAll, migrateAll } from '../dev/commands/build.mjs'
import { startStack, stopServers } from '../dev/stack/native.mjs'
import { generousLimits } from '../dev/stack/generous-limits.mjs'
import { openProfile } from '../dev/profile.mjs'
import { chargesFile, startServices } from '../dev/stack/services.mjs'
import { openLinks } from './links.mjs'

/** Hashing a password takes 60 ms like this: the least that the command service accepts, so that tests are about something else. */
// Accounts are made by the hundred: they begin at once. What proves addresses first is tested beside the command service.
const testEnvironment = { REGISTRATION_MODE: 'open', BCRYPT_COST: '10', RATE_LIMITS: generousLimits() }

/**
 * The whole system as it runs anywhere: servers and services as processes, on free ports, with data of their own.
 *
 * @param {string} name of its profile; whatever an earlier run left under it is removed
 * @param {{ env?: Record<string, string>, kafkaNodes?: 1 | 3, linked?: boolean, progress?: import('../dev/terminal/progress.mjs').Progress, signal?: AbortSignal }} [options]
 *   `linked`: each process reaches each server by a link of its own, which can fall silent; with one Kafka node
 * @returns {Promise<{ stack: import('../dev/stack/native.mjs').Stack, services: import('../dev/stack/services.mjs').Services,
 *   env: Record<string, string>, links: import('./links.mjs').Link[],
 *   close: (options?: { keep?: boolean }) => Promise<void> }>} `close` stops all and removes the data
 * @throws {import('../dev/terminal/trouble.mjs').Trouble} with everything stopped again
 */
export async function openSystem(name, { env = {}, kafkaNodes, linked = false, progress, signal } = {}) {
  const left = await openProfile(name, { ports: 'free' })
  await stopServers(left)
  rmSync(left.dir, { recursive: true, force: true })
  const profile = await openProfile(name, { ports: 'free' })
  /** Ends servers and services alike: both have their pid on record in the profile. */
  const close = async ({ keep = false } = {}) => {
    await services?.stop()
    await stopServers(profile)
    await links?.close()
    if (!keep) rmSync(profile.dir, { recursive: true, force: true })
  }
  let services
  let links
  try {
    await buildAll(profile)
    links = linked ? await openLinks() : undefined
    const kafkaDoors = links?.kafkaDoors
    const stack = await startStack({ profile: name, ports: 'free', kafkaNodes, kafkaDoors, progress, signal })
    await links?.connect(stack.env)
    await migrateAll(stack)
    const forServices = { ...testEnvironment, ...env }
    services = await startServices(stack, { env: forServices, envOf: links?.envOf, progress, signal })
    const forChecks = { ...stack.env, ...forServices, PAYMENT_GATEWAY_CHARGES_FILE: chargesFile(profile) }
    return { stack, services, env: forChecks, links: links?.all ?? [], close }
  } catch (error) {
    await close({ keep: true })
    throw error
  }
}
