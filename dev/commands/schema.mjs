/** `npm run schema`: writes each database's schema.sql from its migrations, on the running stack's PostgreSQL. */
import { parseArgs } from 'node:util'
import { migratedSchema, schemaFile, services, writeSchema, writtenSchema } from '../checks/schema/schemas.mjs'
import { openProfile, profileExists } from '../profile.mjs'
import { readEnvironment } from '../stack/environment.mjs'
import { bold } from '../terminal/progress.mjs'
import { explain, Trouble } from '../terminal/trouble.mjs'

const usage = `npm run schema [-- --check]

  Writes <service>/schema.sql: what a new database has after all migrations.
  The stack must be up (\`npm run stack -- up\`). The databases that it makes
  there are dropped again.

  --check  only says whether the files are current
`

async function main() {
  const options = /** @type {const} */ ({ check: { type: 'boolean' }, help: { type: 'boolean' } })
  const { values } = parseArgs({ options })
  if (values.help) return void process.stdout.write(usage)
  const name = process.env.ANNALS_PROFILE ?? 'dev'
  const adminUrl =
    process.env.POSTGRES_ADMIN_URL ??
    (profileExists(name) ? readEnvironment(await openProfile(name)).POSTGRES_ADMIN_URL : undefined)
  if (!adminUrl) throw new Trouble('There is no PostgreSQL to migrate.', { remedy: '`npm run stack -- up` first.' })
  for (const service of services) {
    const text = await migratedSchema(adminUrl, service)
    const current = text === writtenSchema(service)
    if (!current && !values.check) writeSchema(service, text)
    if (!current && values.check) process.exitCode = 1
    console.log(`${schemaFile(service)}: ${current ? 'current' : values.check ? 'NOT current' : 'written'}`)
  }
}

main().catch((error) => {
  if (error?.code?.startsWith?.('ERR_PARSE_ARGS')) console.error(`${error.message}\n\n${usage}`)
  else console.error(`${bold('Stopped.')} ${explain(error)}`)
  process.exitCode = 1
})
