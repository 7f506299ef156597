import { join } from 'node:path'
import { logOf } from '../stack/processes.mjs'
import { root } from '../profile.mjs'
import { run } from '../install/tools.mjs'

/** Turbo says nothing to anyone, and draws nothing. */
export const turboEnvironment = {
  ...process.env,
  TURBO_TELEMETRY_DISABLED: '1',
  TURBO_NO_UPDATE_NOTIFIER: '1',
  NO_COLOR: '1',
}

/**
 * Builds every workspace; what has not changed since it was last built comes from Turbo's cache.
 *
 * @param {import('../profile.mjs').Profile} profile
 */
export async function buildAll(profile) {
  await run(
    process.execPath,
    [join(root, 'node_modules/turbo/bin/turbo'), 'run', 'build', '--output-logs=errors-only'],
    {
      cwd: root,
      env: turboEnvironment,
      log: logOf(profile, 'build'),
      what: 'The build',
      remedy: 'correct the errors that the compiler reports (`npm run build` shows all of them).',
      timeoutMs: 300_000,
    },
  )
}

/** Services with a database of their own. Their migrations repeat: what was applied is skipped. */
const migrated = ['command-service', 'projection-service', 'notifier-service']

/** Migrates the three databases. @param {import('../stack/native.mjs').Stack} stack */
export async function migrateAll({ profile, env }) {
  await Promise.all(
    migrated.map((service) =>
      run(process.execPath, [join(root, service, 'dist/migrate.js')], {
        cwd: root,
        env: { ...process.env, ...env },
        log: logOf(profile, `migrate-${service}`),
        what: `Migrating the database of ${service}`,
        remedy: 'if a migration was changed after it had run here, `npm run stack -- reset` deletes the local data.',
        timeoutMs: 60_000,
      }),
    ),
  )
}

/** Gives a user the role admin, with the operator's own command. @param {import('../stack/native.mjs').Stack} stack @param {string} who */
export const grantAdmin = ({ profile, env }, who) =>
  run(process.execPath, [join(root, 'command-service/dist/operator/main.js'), 'grant-role', who, 'admin'], {
    cwd: root,
    env: { ...process.env, ...env },
    log: logOf(profile, 'operator'),
    what: 'Granting the role',
    timeoutMs: 30_000,
  })
