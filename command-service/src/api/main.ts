import { runProcess } from '@annals/platform/process'
import { CommandConfig } from './config'
import { openCommandService } from './service'

void runProcess({ name: 'command-service', Config: CommandConfig, env: process.env }, async (context) => {
  const { config, log } = context
  const app = await openCommandService(context)
  await app.listen({ host: config.HTTP_HOST, port: config.HTTP_PORT })
  log.info({ host: config.HTTP_HOST, port: config.HTTP_PORT }, 'command API listens')
})
