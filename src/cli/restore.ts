import { auditCommand } from './audit.ts'
import { backupIo } from './backup.ts'
import { type Command, CommandError, EXIT, usual } from './command.ts'
import { counted, plain } from './words.ts'

export const restore: Command = {
  name: 'restore',
  summary: 'bring a backup back, and verify its audit trail',
  about: [
    'Checks every file of the backup first, and that nothing is in the way; then restores the database (a dump in one transaction) and puts the keys and files where the settings have them. At the end the audit trail is verified. The server must not run.',
    'A checkpoint here that is newer than the one in the backup stays: what was signed was signed. The log then waits for demos-relay audit accept-restore; see docs/backup.md.'
  ],
  actions: [
    {
      name: '',
      about: 'Bring it back.',
      options: {
        from: { value: 'DIR', about: 'the backup', required: true },
        replace: { about: 'put files that are in the way aside, and drop from the database what the backup brings' },
        check: { about: 'only check the files of the backup' }
      },
      run: async (call, io) => {
        const from = call.text('from')!
        const [restoring, parts] = await Promise.all([import('../backup/restore.ts'), backupIo(io)])
        if (call.flag('check')) {
          const {
            kind,
            createdAt,
            parts: files
          } = await restoring.readBackup(from, parts.progress).finally(parts.clear)
          io.stdout.write(`backup of ${createdAt} (${kind}): ${counted(files.length, 'file')}, all as saved\n`)
          return EXIT.ok
        }
        const outcome = await restoring.restore(from, { ...parts, replace: call.flag('replace') }).finally(parts.clear)
        const { manifest, counts, aside, keptCheckpoints } = outcome
        if (aside !== undefined) io.stdout.write(`what was in the way is in ${aside}\n`)
        for (const network of keptCheckpoints) {
          io.stdout.write(`${plain(network)}: a newer checkpoint than the backup's was signed here, and is kept\n`)
        }
        const isVerified = manifest.verifier !== null && (await auditCommand(['verify'], io)) === 0
        io.stdout.write(
          `restore: back to ${manifest.createdAt} with ${counted(counts.waiting, 'message')} waiting, ${counted(counts.identities, 'name')}, ${counted(counts.networks, 'network')}\n`
        )
        if (isVerified) return EXIT.ok
        const why = manifest.verifier === null ? 'the backup has no node key' : 'see above, and docs/backup.md'
        throw new CommandError(EXIT.failed, `everything is restored, but the audit trail is not verified: ${why}`)
      }
    }
  ],
  exits: {
    [EXIT.failed]: 'refused with nothing changed, failed, or restored with an audit trail that does not fit',
    ...usual(EXIT.settings)
  }
}
