import type { Command } from '@commander-js/extra-typings'
import type { Config } from '../config/schema.ts'
import { CommandError, EXIT, endHelp, type Io, usual } from './command.ts'

const OUT = ['--out <file>', 'the file to write, mode 0600; default: the one the server reads'] as const
const FORCE = ['--force', 'replace an existing file; the old one is kept beside it'] as const

export function addKeygen(program: Command, io: Io): void {
  const keygen = program.command('keygen').description('make a node key, an admin token, or a subnet key')
  keygen
    .command('node-key', { isDefault: true })
    .description('make the ed25519 key that signs the audit trail, and print its verifier line (the default)')
    .option(...OUT)
    .option(...FORCE)
    .action(async ({ out, force }) => {
      const { config } = await io.settings()
      const { join } = await import('node:path')
      await makeNodeKey(out ?? config.NODE_KEY_FILE ?? join(config.DATA_DIR, 'node.key'), force === true, config, io)
    })
  keygen
    .command('admin-token')
    .description('make the token that opens the administration')
    .option(...OUT)
    .option(...FORCE)
    .action(async ({ out, force }) => {
      const { config } = await io.settings()
      const { adminTokenFile, makeAdminToken } = await import('../../plugins/admin/token.ts')
      const path = out ?? adminTokenFile(config.DATA_DIR)
      await writeNew(path, makeAdminToken(), force === true, io)
      io.stdout.write(`The token is in ${path}. A running server takes it at its next start.\n`)
      if (config.ADMIN_TOKEN !== undefined) io.stderr.write('ADMIN_TOKEN is set, and wins over that file.\n')
    })
  keygen
    .command('subnet-key')
    .description('make a key that the members of a network share, for chat --network')
    .argument('<file>', 'the file to write, mode 0600')
    .option(...FORCE)
    .action(async (path, { force }) => {
      const { randomBytes } = await import('node:crypto')
      await writeNew(path, `${randomBytes(32).toString('hex')}\n`, force === true, io)
      io.stdout.write(`The key is in ${path}. Give it to the members; the server never sees it.\n`)
    })
  endHelp(keygen, ['A server makes the node key and the token itself at its first start, if they do not exist.'], {
    [EXIT.failed]: 'the file exists, or cannot be written',
    ...usual(EXIT.settings)
  })
}

async function makeNodeKey(path: string, force: boolean, config: Config, io: Io): Promise<void> {
  const { loadNodeKey, nodeIdentity, nodeVerifier } = await import('../audit/node-key.ts')
  const { verifierLine } = await import('../tlog/note.ts')
  await makeRoom(path, force, io)
  const key = await loadNodeKey(path)
  io.stderr.write(
    `The node key is in ${path}: keep a copy, its logs cannot continue with another key.\nIts verifier line:\n`
  )
  io.stdout.write(`${verifierLine(nodeVerifier(nodeIdentity(key, config.AUDIT_ORIGIN)))}\n`)
}

async function writeNew(path: string, text: string, force: boolean, io: Io): Promise<void> {
  const { writeOnce } = await import('../util/write-once.ts')
  await makeRoom(path, force, io)
  if (!(await writeOnce(path, text))) throw exists(path)
}

/** An existing file is never overwritten: without --force it stays, with it the file gets another name. */
async function makeRoom(path: string, force: boolean, io: Io): Promise<void> {
  const { lstat, rename } = await import('node:fs/promises')
  const isThere = await lstat(path).then(
    () => true,
    () => false
  )
  if (!isThere) return
  if (!force) throw exists(path)
  const aside = `${path}.until-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`
  await rename(path, aside)
  io.stderr.write(`The old one is kept in ${aside}\n`)
}

const exists = (path: string) =>
  new CommandError(EXIT.failed, `${path} is there already, and nothing was changed. --force makes another one`)
