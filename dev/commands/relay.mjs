/** `npm run relay -- <options>`: a relay with an operator's word, against the running stack. */
import { runServiceCli } from './service-cli.mjs'

// Beside the relay that runs: it has the port.
process.env.OPERATIONS_PORT ??= '0'
await runServiceCli('command-service/dist/relay/main.js', 'The relay')
