/** `npm run replay -- <projection> [options]`: the replay CLI against the running stack. */
import { runServiceCli } from './service-cli.mjs'

await runServiceCli('projection-service/dist/replay/main.js', 'The replay CLI')
