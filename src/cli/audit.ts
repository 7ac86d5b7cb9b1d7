import { type Action, type Command, EXIT, type Io, usual } from './command.ts'
import { statusLine } from './status-line.ts'

const NETWORK = { value: 'NAME', about: 'one log: a network, `signaling` or `anchors`' }

/** The command's own part checks nothing that was not checked here, and so takes the arguments as they came. */
const handOn =
  (action: string): Action['run'] =>
  async (call, io) => {
    const options = ['network', 'from-url', 'vkey'].flatMap((name) => {
      const value = call.text(name)
      return value === undefined ? [] : [`--${name}=${value}`]
    })
    return auditCommand([action, ...options], io)
  }

/** Runs an audit command on the database and the keys of the settings; resolves to its exit code. */
export async function auditCommand(args: readonly string[], io: Io): Promise<0 | 1 | 2> {
  const { config } = await io.settings()
  const [{ runAuditCommand }, { createLogger }] = await Promise.all([
    import('../audit/command.ts'),
    import('../observability/logging.ts')
  ])
  const settings = {
    databaseUrl: config.DATABASE_URL,
    dataDir: config.DATA_DIR,
    nodeKeyFile: config.NODE_KEY_FILE,
    origin: config.AUDIT_ORIGIN,
    adminToken: config.ADMIN_TOKEN,
    poolSize: config.DATABASE_POOL_SIZE,
    deadlineMs: config.DATABASE_DEADLINE_MS
  }
  const status = statusLine(io.stderr)
  const print = (line: string) => {
    status.clear()
    io.stdout.write(`${line}\n`)
  }
  const log = createLogger({ ...config, LOG_LEVEL: 'warn' }, { terminal: io.stdout.isTTY, colours: io.colours })
  return runAuditCommand(args, { settings, print, progress: status.show, log })
}

export const audit: Command = {
  name: 'audit',
  summary: 'verify the audit trail; accept a restored database',
  about: ["Needs the server's settings. With the embedded database, stop the server first, or use --from-url."],
  actions: [
    {
      name: 'verify',
      about:
        'recompute every log, or one, from the database; with --from-url from the public URLs of a server alone, where ADMIN_TOKEN opens the records that are not public',
      options: {
        network: NETWORK,
        'from-url': { value: 'URL', about: 'the server whose published log is verified' },
        vkey: { value: 'LINE', about: "the verifier key that must have signed; default: the node's own" }
      },
      run: handOn('verify')
    },
    {
      name: 'accept-restore',
      about: 'go on with a log whose database was restored to an earlier time, under a new name',
      options: { network: { ...NETWORK, required: true } },
      run: handOn('accept-restore')
    }
  ],
  exits: { [EXIT.failed]: 'not fine, or not done', ...usual(EXIT.settings) }
}
