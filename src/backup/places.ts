// The files of a server besides its database: where the settings put them, and where they are in a backup.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { adminTokenFile, auditDirectory, networksDirectory, nodeKeyFile, tokensFile } from '../config/files.ts'
import type { Config } from '../config/schema.ts'
import { filesBelow } from './parts.ts'

export interface Place {
  /** In the backup: `node.key`, or `audit/…`. */
  readonly path: string
  /** On this machine. */
  readonly file: string
}

type Settings = Pick<Config, 'DATA_DIR' | 'NODE_KEY_FILE' | 'L2PS_DIR' | 'TOKENS_FILE'>

/** Where a part of a backup belongs under these settings; undefined: it is the database's. */
export function placeOf(path: string, settings: Settings): string | undefined {
  const [first, ...rest] = path.split('/')
  if (path === 'node.key') return nodeKeyFile(settings.DATA_DIR, settings.NODE_KEY_FILE)
  if (path === 'admin.token') return adminTokenFile(settings.DATA_DIR)
  if (path === 'tokens.json') return tokensFile(settings.DATA_DIR, settings.TOKENS_FILE)
  if (first === 'audit') return join(auditDirectory(settings.DATA_DIR), ...rest)
  if (first === 'l2ps') return join(networksDirectory(settings.DATA_DIR, settings.L2PS_DIR), ...rest)
  return undefined
}

/** The files that are there now. Drafts that somebody is just writing are left out. */
export async function findPlaces(settings: Settings): Promise<Place[]> {
  const below = async (folder: string) =>
    (await filesBelow(placeOf(folder, settings)!)).files.map((name) => `${folder}/${name}`)
  const paths = ['node.key', 'admin.token', 'tokens.json', ...(await below('audit')), ...(await below('l2ps'))]
  const places = paths
    .filter((path) => !path.endsWith('.new'))
    .map((path) => ({ path, file: placeOf(path, settings)! }))
  const there = await Promise.all(places.map(async ({ file }) => (await contents(file)) !== undefined))
  return places.filter((_, at) => there[at])
}

/** What a file holds, or undefined when there is none. */
export const contents = (file: string): Promise<Buffer | undefined> =>
  readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })
