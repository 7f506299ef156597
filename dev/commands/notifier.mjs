/** `npm run notifier -- <command>`: what an operator decides about the notifier, against the running stack. */
import { runServiceCli } from './service-cli.mjs'

await runServiceCli('notifier-service/dist/operator/main.js', 'The notifier’s CLI')
