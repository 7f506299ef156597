import path from 'node:path'
import { z } from 'zod'
import { exitWithMessage, runProcess } from '@annals/platform/lifecycle'
import { field, processFields, readConfig } from '@annals/platform/config'
import { createLogger } from '@annals/platform/log'
import { openCharges } from './charges'
import { buildGatewaySandbox } from './sandbox'

const Config = z.object({
  HTTP_HOST: processFields.HTTP_HOST,
  HTTP_PORT: field.port(3010),
  LOG_LEVEL: field.logLevel(),
  /** Where the sandbox remembers its charges. */
  GATEWAY_SANDBOX_FILE: z.string().default(path.resolve('.annals', 'gateway-sandbox.jsonl')),
  /** After so many hours it forgets the key of a charge, as real gateways do. */
  GATEWAY_SANDBOX_KEY_HOURS: field.integer(24, 1, 24 * 365),
})

function main() {
  const config = readConfig(Config, process.env)
  const log = createLogger('gateway-sandbox', config.LOG_LEVEL)
  return runProcess(log, async (scope) => {
    const charges = scope.add(
      'charges',
      openCharges(config.GATEWAY_SANDBOX_FILE, { keyHours: config.GATEWAY_SANDBOX_KEY_HOURS }),
      (charges) => charges.close(),
    )
    const app = scope.add('http', buildGatewaySandbox(charges), (app) => app.close())
    await app.listen({ host: config.HTTP_HOST, port: config.HTTP_PORT })
    log.info({ host: config.HTTP_HOST, port: config.HTTP_PORT }, 'payment gateway sandbox: for development and tests')
  })
}

try {
  void main()
} catch (error) {
  exitWithMessage(error)
}
