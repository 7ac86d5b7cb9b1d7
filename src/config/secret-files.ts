import { statSync } from 'node:fs'
import { adminTokenFile, nodeKeyFile, tokensFile } from './files.ts'
import type { Config } from './schema.ts'

/** Permission of everybody else to read. */
const OTHERS_READ = 0o004

/** A line for each file with a secret that every user of this machine can read. `named`: files of `<NAME>_FILE` settings. */
export function readableSecrets(config: Config, named: Readonly<Record<string, string>>): string[] {
  const files: Readonly<Record<string, string | undefined>> = {
    ...named,
    TLS_KEY_FILE: config.TLS_KEY_FILE,
    'the node key': nodeKeyFile(config.DATA_DIR, config.NODE_KEY_FILE),
    ...(config.ADMIN_TOKEN === undefined ? { 'the admin token': adminTokenFile(config.DATA_DIR) } : {}),
    'the file of tokens': tokensFile(config.DATA_DIR, config.TOKENS_FILE)
  }
  return Object.entries(files).flatMap(([what, path]) =>
    path !== undefined && isReadableByAll(path)
      ? [`${path} (${what}) can be read by every user of this machine. Take that away: chmod o-r`]
      : []
  )
}

function isReadableByAll(path: string): boolean {
  if (process.platform === 'win32') return false // it has other permissions
  try {
    return (statSync(path).mode & OTHERS_READ) !== 0
  } catch {
    return false // who needs the file will say so
  }
}
