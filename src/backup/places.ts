// What belongs to a server besides its database, where the settings have it, and where it is in a backup.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { adminTokenFile } from '../../plugins/admin/api/token.ts'
import { auditDirectory } from '../audit/trail.ts'
import type { Config } from '../config/schema.ts'
import { filesBelow } from './parts.ts'

export interface Place {
  /** In the backup: `node.key`, or `audit/…`. */
  readonly path: string
  /** On this machine. */
  readonly file: string
}

type Settings = Pick<Config, 'DATA_DIR' | 'NODE_KEY_FILE' | 'L2PS_DIR'>

export const nodeKeyFile = ({ DATA_DIR, NODE_KEY_FILE }: Settings) => NODE_KEY_FILE ?? join(DATA_DIR, 'node.key')

/** Where a part of a backup belongs under these settings; undefined: it is the database's. */
export function placeOf(path: string, settings: Settings): string | undefined {
  const [first, ...rest] = path.split('/')
  if (path === 'node.key') return nodeKeyFile(settings)
  if (path === 'admin.token') return adminTokenFile(settings.DATA_DIR)
  if (first === 'audit') return join(auditDirectory(settings.DATA_DIR), ...rest)
  if (first === 'l2ps') return join(settings.L2PS_DIR ?? join(settings.DATA_DIR, 'l2ps'), ...rest)
  return undefined
}

/** The files that are there now. Drafts that somebody is just writing are left out. */
export async function findPlaces(settings: Settings): Promise<Place[]> {
  const below = async (folder: string) =>
    (await filesBelow(placeOf(folder, settings)!)).files.map((name) => `${folder}/${name}`)
  const paths = ['node.key', 'admin.token', ...(await below('audit')), ...(await below('l2ps'))]
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
