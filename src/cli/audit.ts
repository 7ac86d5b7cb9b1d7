import type { Command } from '@commander-js/extra-typings'
import { databaseUrl } from '../config/read.ts'
import type { Config } from '../config/schema.ts'
import { httpUrl, readToken } from './admin-client.ts'
import { CommandError, EXIT, endHelp, type Io, UsageError, usual } from './command.ts'
import { statusLine } from './output.ts'

const NETWORK = '--network <name>'
const ONE_LOG = 'the log of one network, `signaling` or `anchors`'

export function addAudit(program: Command, io: Io): void {
  const audit = program
    .command('audit')
    .description('verify the audit trail; accept a restored database; change the key')
  audit
    .command('verify')
    .description(
      'recompute every log, or one, from the database; with --from-url from what a server publishes, where the token is needed for records that are not public'
    )
    .option(NETWORK, ONE_LOG)
    .option('--from-url <url>', 'the server whose published log is verified')
    .option('--vkey <line>', "the verifier key that must have signed; default: the node's own")
    .action(async ({ network, fromUrl, vkey }) => {
      if (fromUrl !== undefined && httpUrl(fromUrl) === undefined) {
        throw new UsageError('--from-url must be the address of a server, like http://127.0.0.1:3006')
      }
      await runOrFail('verify', { network, vkey, 'from-url': fromUrl }, io)
    })
  audit
    .command('accept-restore')
    .description('continue a log whose database was restored to an earlier time, under a new name')
    .requiredOption(NETWORK, ONE_LOG)
    .action(({ network }) => runOrFail('accept-restore', { network }, io))
  audit
    .command('rekey')
    .description(
      "have the server's node key (made if it is not there) sign the logs from now on, when the one that signed them was lost or is to be replaced; stop every server of the database first"
    )
    .option('--old-key <file>', 'the key that signed until now: it signs the change, too')
    .action(({ oldKey }) => runOrFail('rekey', { 'old-key': oldKey }, io))
  endHelp(
    audit,
    ["Needs the server's settings. With the embedded database, stop the server first, or use --from-url."],
    { [EXIT.failed]: 'a fault was found, or nothing was done', ...usual(EXIT.settings) }
  )
}

async function runOrFail(action: string, options: Record<string, string | undefined>, io: Io): Promise<void> {
  const given = Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]))
  const exit = await auditCommand([action, ...given], io)
  if (exit !== EXIT.ok) throw new CommandError(exit)
}

/** Without a token, what is public is verified. */
const tokenIfAny = (config: Config): Promise<string | undefined> =>
  readToken(config).then(
    ({ token }) => token,
    () => undefined
  )

/** Runs an audit command on the database and the keys of the settings; resolves to its exit code. */
export async function auditCommand(args: readonly string[], io: Io): Promise<0 | 1 | 2> {
  const { config } = await io.settings()
  const [{ runAuditCommand }, { createLogger }] = await Promise.all([
    import('../audit/command.ts'),
    import('../observability/logging.ts')
  ])
  const settings = {
    databaseUrl: databaseUrl(config),
    pooler: config.DATABASE_POOLER,
    dataDir: config.DATA_DIR,
    nodeKeyFile: config.NODE_KEY_FILE,
    origin: config.AUDIT_ORIGIN,
    adminToken: await tokenIfAny(config),
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
