import { readConfig } from '@annals/platform/config'
import { exitWithMessage, runProcess } from '@annals/platform/lifecycle'
import { createLogger } from '@annals/platform/log'
import { startTracing } from '@annals/platform/tracing'
import { CommandConfig } from './config'
import { openCommandService } from './service'

function main() {
  const config = readConfig(CommandConfig, process.env)
  const log = createLogger('command-service', config.LOG_LEVEL)
  return runProcess(log, async (scope) => {
    scope.add('tracing', await startTracing('command-service', config.OTEL_EXPORTER_OTLP_ENDPOINT), (stop) => stop())
    const app = await openCommandService(config, scope, log)
    await app.listen({ host: config.HTTP_HOST, port: config.HTTP_PORT })
    log.info({ host: config.HTTP_HOST, port: config.HTTP_PORT }, 'command API listens')
  })
}

try {
  void main()
} catch (error) {
  exitWithMessage(error)
}
