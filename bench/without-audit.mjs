// The build under test as it would be without an audit trail: what the trail costs is measured beside it.
import { pathToFileURL } from 'node:url'

const part = (path) => import(new URL(path, pathToFileURL(process.env.BENCH_MAIN)))
const [{ readConfig }, { createLogger }, { startServer }] = await Promise.all(
  ['./config/read.js', './observability/logging.js', './server.js'].map(part)
)
const { config, mistakes } = readConfig(process.env)
if (config === undefined) throw new Error(mistakes.join('\n'))
await startServer(config, { logger: createLogger(config, { terminal: false, colours: false }), withoutAudit: true })
