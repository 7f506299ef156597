/**
 * `npm start`: everything, from nothing to a running system that has just shown what it does.
 *
 *   npm start -- --once             ends after the scenario, with 0 only if every step of it held
 *   npm start -- --profile second   beside the first: other data, free ports
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildAll, grantAdmin, migrateAll } from './build.mjs'
import { installDependencies } from './install.mjs'
import { interruption, withLifetime } from './lifetime.mjs'
import { prefetch, refuseTakenPorts, startStack } from './native.mjs'
import { findRunning, recordSelf } from './processes.mjs'
import { openProfile, shown } from './profile.mjs'
import { bold, faint, Progress } from './progress.mjs'
import { serviceProcesses, startServices } from './services.mjs'
import { Trouble } from './trouble.mjs'

const progress = new Progress()
await withLifetime(
  async ({ signal, onEnd }) => {
    const { values } = parseArgs({
      options: { once: { type: 'boolean' }, profile: { type: 'string', default: 'dev' } },
    })
    const begun = performance.now()
    const profile = await openProfile(values.profile, { ports: values.profile === 'dev' ? 'default' : 'free' })
    const other = findRunning(profile, 'start')
    if (other) {
      throw new Trouble(`\`npm start\` is already running here (pid ${other.pid}).`, {
        remedy: `use it, or end it with Ctrl-C in its terminal (or \`kill ${other.pid}\`).`,
      })
    }
    recordSelf(profile, 'start')
    onEnd(async () => rmSync(join(profile.pids, 'start.json'), { force: true }))
    await refuseTakenPorts(
      profile,
      serviceProcesses.map(({ name, title }) => ({ name, title, ports: [name] })),
    )

    console.log(bold('Programs'))
    await settled([installDependencies(progress), prefetch(profile, progress)])
    signal.throwIfAborted()

    console.log(bold('\nServers'))
    progress.begin('Build')
    const built = buildAll(profile).then(() => progress.done('Build'))
    const starting = startStack({ profile: profile.name, built, progress, signal })
    onEnd(async () => (await starting.catch(() => undefined))?.stop())
    await settled([built, starting])
    const stack = await starting
    progress.begin('Migrations')
    await migrateAll(stack)
    progress.done('Migrations')

    console.log(bold('\nServices'))
    const services = await startServices(stack, { progress, signal })
    onEnd(async () => {
      console.log(faint('\nStopping, in order …'))
      await services.stop()
    })
    const seconds = (performance.now() - begun) / 1000

    console.log(bold('\nWhat it does'))
    const { runDemo } = await import('./demo.mjs')
    const inboxUrl = stack.env.MAIL_INBOX_URL
    const { held } = await runDemo({
      commandUrl: services.urls.command,
      queryUrl: services.urls.query,
      inboxUrl,
      makeAdmin: (email) => grantAdmin(stack, email),
      signal,
    })

    console.log(`\n${bold('Addresses')}                       ready after ${seconds.toFixed(1)} s`)
    const addresses = [
      ['Command API', `${services.urls.command}/api/v1`],
      ['Query API', `${services.urls.query}/api/v1`],
      ['Mail inbox', `${inboxUrl}/`],
      ['SMS sent', `${stack.env.TWILIO_BASE_URL}/api/messages`],
      [
        'Health',
        serviceProcesses.map(({ name }) => services.urls[name].split(':').at(-1)).join(', ') + ': /readyz, /metrics',
      ],
      ['Logs', `${shown(profile.logs)}/`],
    ]
    for (const [name, address] of addresses) console.log(`  ${name.padEnd(14)} ${address}`)
    if (values.once) return { code: held ? 0 : 1, farewell: held ? '\nEvery step held.' : '\nA step did not hold.' }
    if (!held) console.log('\nA step did not hold; the system runs on, so that you can look at it.')
    console.log(`\nRunning. Ctrl-C stops everything; the data stays in ${shown(profile.data)}/.`)
    await interruption(signal)
    return { code: 0, farewell: 'Stopped.' }
  },
  { progress },
)

/** Like Promise.all, but nothing goes on in the background when one has failed. */
async function settled(promises) {
  const outcomes = await Promise.allSettled(promises)
  const failure = outcomes.find(({ status }) => status === 'rejected')
  if (failure) throw failure.reason
}
