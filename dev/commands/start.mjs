/** `npm start`: everything, from nothing to a running system that has just shown what it does. */
import { grantAdmin } from './build.mjs'
import { interruption, withLifetime } from '../stack/lifetime.mjs'
import { parseOptions } from '../terminal/options.mjs'
import { shown } from '../profile.mjs'
import { bold, Progress } from '../terminal/progress.mjs'
import { bringUpSystem } from '../stack/system.mjs'

const usage = `npm start [-- --once] [-- --profile <name>]

Installs what is missing, builds, starts the servers and the services, shows
what they do, and runs until Ctrl-C.

  --once            ends after the scenario; exit code 0 if every step passed
  --profile <name>  a second system beside the first: own data, free ports
  --help
`

const progress = new Progress()
await withLifetime(
  async ({ signal, onEnd }) => {
    const { values } = parseOptions({
      options: { once: { type: 'boolean' }, profile: { type: 'string', default: 'dev' } },
      usage,
    })
    if (values.help) return { code: 0, farewell: usage }
    const begun = performance.now()
    const { profile, stack, services } = await bringUpSystem({ name: values.profile, progress, signal, onEnd })
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
        Object.values(services.operations)
          .map((url) => url.split(':').at(-1))
          .join(', ') + ': /readyz, /metrics',
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
