// demos-relay backup and restore.
import type { Command } from '@commander-js/extra-typings'
import { auditCommand } from './audit.ts'
import { CommandError, EXIT, endHelp, type Io, usual } from './command.ts'
import { counted, plain, size } from './format.ts'
import { printJson, statusLine } from './output.ts'

export function addBackup(program: Command, io: Io): void {
  const backup = program
    .command('backup')
    .description('save the database, the keys and the state of the audit trail')
    .requiredOption('--to <dir>', 'the directory to write; it must not exist yet')
    .option('--json', 'print the manifest, without its parts, as JSON')
    .action(async ({ to, json }) => {
      const [{ backUp }, parts] = await Promise.all([import('../backup/backup.ts'), backupIo(io)])
      const { parts: files, directories: _, ...facts } = await backUp(to, parts).finally(parts.clear)
      const bytes = files.reduce((sum, part) => sum + part.bytes, 0)
      if (json) printJson({ ...facts, files: files.length, bytes }, io)
      else io.stdout.write(`backup: ${counted(files.length, 'file')}, ${size(bytes)}, in ${to}\n`)
    })
  endHelp(
    backup,
    [
      'Writes a new directory with everything the settings name: the database, the node key, the last signed checkpoints, the admin token of DATA_DIR, the network files, and a manifest with the SHA-256 of each. Files have mode 0600: with them, anyone can run as this server.',
      'The server may run meanwhile. With DATABASE_URL, pg_dump is needed, at least as new as that PostgreSQL. The embedded database needs no other program: it is saved as a base backup of its files.'
    ],
    { [EXIT.failed]: 'failed, and nothing was kept', ...usual(EXIT.settings) }
  )
}

export function addRestore(program: Command, io: Io): void {
  const command = program
    .command('restore')
    .description('restore a backup, and verify its audit trail')
    .requiredOption('--from <dir>', 'the backup')
    .option('--replace', 'move existing files aside, and drop from the database what the backup brings')
    .option('--check', 'only check the files of the backup')
    .action(({ from, replace, check }) => (check ? checkBackup(from, io) : restore(from, replace === true, io)))
  endHelp(
    command,
    [
      'Checks every file of the backup first, and that nothing would be overwritten; then restores the database (a dump in one transaction) and puts the keys and files where the settings have them. At the end the audit trail is verified. The server must not run.',
      'If a checkpoint here is newer than the one in the backup, it stays, because it was signed. Its log then waits for demos-relay audit accept-restore; see docs/backup.md.'
    ],
    {
      [EXIT.failed]: 'refused with nothing changed, failed, or restored with an audit trail that does not fit',
      ...usual(EXIT.settings)
    }
  )
}

async function checkBackup(from: string, io: Io): Promise<void> {
  const [{ readBackup }, parts] = await Promise.all([import('../backup/restore.ts'), backupIo(io)])
  const { kind, createdAt, parts: files } = await readBackup(from, parts.progress).finally(parts.clear)
  io.stdout.write(`backup of ${createdAt} (${kind}): ${counted(files.length, 'file')}, all as saved\n`)
}

async function restore(from: string, replace: boolean, io: Io): Promise<void> {
  const [restoring, parts] = await Promise.all([import('../backup/restore.ts'), backupIo(io)])
  const outcome = await restoring.restore(from, { ...parts, replace }).finally(parts.clear)
  const { manifest, counts, aside, keptCheckpoints } = outcome
  if (aside !== undefined) io.stdout.write(`existing files were moved to ${aside}\n`)
  for (const network of keptCheckpoints) {
    io.stdout.write(`${plain(network)}: a newer checkpoint than the backup's was signed here, and is kept\n`)
  }
  const isVerified = manifest.verifier !== null && (await auditCommand(['verify'], io)) === 0
  io.stdout.write(
    `restore: back to ${manifest.createdAt} with ${counted(counts.waiting, 'message')} waiting, ${counted(counts.identities, 'name')}, ${counted(counts.networks, 'network')}\n`
  )
  if (isVerified) return
  const why = manifest.verifier === null ? 'the backup has no node key' : 'see above, and docs/backup.md'
  throw new CommandError(EXIT.failed, `everything is restored, but the audit trail is not verified: ${why}`)
}

/** What saving and restoring need of the process. */
async function backupIo(io: Io) {
  const { config } = await io.settings()
  const { createLogger } = await import('../observability/logging.ts')
  const status = statusLine(io.stderr)
  const log = createLogger({ ...config, LOG_LEVEL: 'warn' }, { terminal: io.stdout.isTTY, colours: io.colours })
  return { config, log, progress: status.show, clear: status.clear, signal: io.interruption() }
}
