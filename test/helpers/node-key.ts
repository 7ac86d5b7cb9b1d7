import { generateKeyPairSync } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A node key in this directory, made at the first call: for servers that sign one log. */
export function nodeKeyFile(directory: string, name = 'node.key'): string {
  const path = join(directory, name)
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync('ed25519')
    writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  }
  return path
}
