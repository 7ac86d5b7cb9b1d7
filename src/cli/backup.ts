import { type Command, EXIT, type Io, usual } from './command.ts'
import { printJson } from './output.ts'
import { statusLine } from './status-line.ts'
import { counted, size } from './words.ts'

export const backup: Command = {
  name: 'backup',
  summary: 'save the database, the keys and the state of the audit trail',
  about: [
    'Writes a new directory with everything the settings name: the database, the node key, the last signed checkpoints, the admin token of DATA_DIR, the network files, and a manifest with the SHA-256 of each. Files are 0600: whoever has them is this server.',
    'The server may run meanwhile. With DATABASE_URL it needs a pg_dump that is as new as the server. The embedded database is saved with its own means, as a base backup of its files; nothing else is needed.'
  ],
  actions: [
    {
      name: '',
      about: 'Save everything.',
      options: {
        to: { value: 'DIR', about: 'where to; must not be there yet', required: true },
        json: { about: 'print the manifest, without its parts, as JSON' }
      },
      run: async (call, io) => {
        const [{ backUp }, parts] = await Promise.all([import('../backup/backup.ts'), backupIo(io)])
        const to = call.text('to')!
        const { parts: files, directories: _, ...facts } = await backUp(to, parts).finally(parts.clear)
        const bytes = files.reduce((sum, part) => sum + part.bytes, 0)
        if (call.flag('json')) printJson({ ...facts, files: files.length, bytes }, io)
        else io.stdout.write(`backup: ${counted(files.length, 'file')}, ${size(bytes)}, in ${to}\n`)
        return EXIT.ok
      }
    }
  ],
  exits: { [EXIT.failed]: 'failed, and nothing was kept', ...usual(EXIT.settings) }
}

/** What saving and restoring need of the process. */
export async function backupIo(io: Io) {
  const { config } = await io.settings()
  const { createLogger } = await import('../observability/logging.ts')
  const status = statusLine(io.stderr)
  const log = createLogger({ ...config, LOG_LEVEL: 'warn' }, { terminal: io.stdout.isTTY, colours: io.colours })
  return { config, log, progress: status.show, clear: status.clear, signal: io.interruption() }
}
