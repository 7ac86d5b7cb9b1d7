import type { Action, Command, Io, Options } from './command.ts'
import { CommandError, EXIT, usual } from './command.ts'

const WHERE: Options = {
  out: { value: 'FILE', about: 'where it is written, mode 0600; default: where the server looks for it' },
  force: { about: 'make another one; the old file is kept beside it' }
}

const nodeKey: Action = {
  name: '',
  about: 'make the ed25519 key that signs the audit trail, and print its verifier line',
  options: WHERE,
  run: async (call, io) => {
    const { config } = await io.settings()
    const { join } = await import('node:path')
    const { loadNodeKey, nodeIdentity, nodeVerifier } = await import('../audit/node-key.ts')
    const { verifierLine } = await import('../tlog/note.ts')
    const path = call.text('out') ?? config.NODE_KEY_FILE ?? join(config.DATA_DIR, 'node.key')
    await makeRoom(path, call.flag('force'), io)
    const key = await loadNodeKey(path)
    io.stderr.write(`The node key is in ${path}: keep a copy, no other key continues its logs.\nIts verifier line:\n`)
    io.stdout.write(`${verifierLine(nodeVerifier(nodeIdentity(key, config.AUDIT_ORIGIN)))}\n`)
    return EXIT.ok
  }
}

const adminToken: Action = {
  name: 'admin-token',
  about: 'make the token that opens the administration',
  options: WHERE,
  run: async (call, io) => {
    const { config } = await io.settings()
    const { adminTokenFile, makeAdminToken } = await import('../../plugins/admin/api/token.ts')
    const path = call.text('out') ?? adminTokenFile(config.DATA_DIR)
    await writeNew(path, makeAdminToken(), call.flag('force'), io)
    io.stdout.write(`The token is in ${path}. A server that runs takes it at its next start.\n`)
    if (config.ADMIN_TOKEN !== undefined) io.stderr.write('ADMIN_TOKEN is set, and wins over that file.\n')
    return EXIT.ok
  }
}

const subnetKey: Action = {
  name: 'subnet-key',
  takes: ['FILE'],
  about: 'make a key that the members of a network share, for chat --network',
  options: { force: WHERE.force! },
  run: async (call, io) => {
    const { randomBytes } = await import('node:crypto')
    const [path = ''] = call.args
    await writeNew(path, `${randomBytes(32).toString('hex')}\n`, call.flag('force'), io)
    io.stdout.write(`The key is in ${path}. Hand it to the members; the server never sees it.\n`)
    return EXIT.ok
  }
}

export const keygen: Command = {
  name: 'keygen',
  summary: 'make a node key, an admin token, or a subnet key',
  about: [
    'A server makes the node key and the token itself at its first start: this is for those who make them before.'
  ],
  actions: [nodeKey, adminToken, subnetKey],
  exits: { [EXIT.failed]: 'there is one already, or it cannot be written', ...usual(EXIT.settings) }
}

async function writeNew(path: string, text: string, force: boolean, io: Io): Promise<void> {
  const { writeOnce } = await import('../util/write-once.ts')
  await makeRoom(path, force, io)
  if (!(await writeOnce(path, text))) throw exists(path)
}

/** What is there is never overwritten: refused, or put aside where whoever forces it finds it again. */
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
