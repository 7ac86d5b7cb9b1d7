// The server as `demos-relay serve` runs it, with a clock that its parent process can step: `{ offsetMs }` over IPC.
import { serverFacts } from '../../src/cli/banner.ts'
import { readConfig } from '../../src/config/read.ts'
import { createLogger } from '../../src/observability/logging.ts'
import { startServer } from '../../src/server.ts'
import { VERSION } from '../../src/util/package-root.ts'

let offsetMs = 0
process.on('message', (step: { offsetMs: number }) => {
  offsetMs = step.offsetMs
})
const { config, mistakes } = readConfig(process.env)
if (config === undefined) throw new Error(mistakes?.join('\n'))
const log = createLogger(config, { terminal: false, colours: false })
const server = await startServer(config, { logger: log, now: () => Date.now() + offsetMs })
for (const signal of ['SIGTERM', 'disconnect'] as const) {
  process.once(signal, () => void server.close().finally(() => process.exit(0)))
}
log.info(serverFacts(config, server.addresses, VERSION), 'server ready')
