// The server as `demos-relay serve` runs it, but its parent process can step its clock (`{ offsetMs }` over IPC) and have
// its hand-overs to other relays lost, repeated and reordered (`{ faults }`).
import { serverFacts } from '../../src/cli/banner.ts'
import { readConfig } from '../../src/config/read.ts'
import { createLogger } from '../../src/observability/logging.ts'
import { startServer } from '../../src/server.ts'
import { VERSION } from '../../src/util/package-root.ts'
import { type BusFaults, faultyBus } from '../cluster/faulty-bus.ts'

let offsetMs = 0
const faults: BusFaults = { lost: 0, repeated: 0, reordered: 0 }
process.on('message', (told: { offsetMs?: number; faults?: BusFaults }) => {
  offsetMs = told.offsetMs ?? offsetMs
  Object.assign(faults, told.faults)
})
const { config, mistakes } = readConfig(process.env)
if (config === undefined) throw new Error(mistakes?.join('\n'))
const log = createLogger(config, { terminal: false, colours: false })
const throughBus = faultyBus(faults, Math.random)
const server = await startServer(config, { logger: log, now: () => Date.now() + offsetMs, throughBus })
for (const signal of ['SIGTERM', 'disconnect'] as const) {
  process.once(signal, () => void server.close().finally(() => process.exit(0)))
}
log.info(serverFacts(config, server.addresses, VERSION), 'server ready')
