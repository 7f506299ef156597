/** `npm run audit -- verify [--json]`: the audit trail beside the log of the running stack. */
import { runServiceCli } from './service-cli.mjs'

await runServiceCli('projection-service/dist/audit/main.js', 'The audit CLI')
