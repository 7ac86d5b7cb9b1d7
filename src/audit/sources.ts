// The two places a log can be verified from.
import { setTimeout as delay } from 'node:timers/promises'
import type { Database } from '../database/database.ts'
import { readEntries, readTiles } from '../store/audit-entry.ts'
import type { AuditLog } from '../store/audit-log.ts'
import { decodeBundle, TILE_WIDTH, type TileRef, tilePath } from '../tlog/tiles.ts'
import { networkSegment } from './node-key.ts'
import type { LogSource, PlacedEntry } from './verify.ts'

const ATTEMPTS = 5
const REQUEST_MS = 30_000

/** The log as the database has it, up to its published checkpoint. */
export function postgresSource(database: Database, log: AuditLog): LogSource {
  const { sql } = database
  return {
    checkpoint: async () => log.publishedNote ?? undefined,
    tile: async (ref) => (await database.within(readTiles(sql, [{ ...ref, log: log.id }])))[0]?.hashes,
    entries: (index, width) => {
      const start = index * TILE_WIDTH
      return database.within(readEntries(sql, log.id, start, start + width))
    }
  }
}

/** The log by its public URLs. `token`: the admin token, for the records of networks that are not public. */
export function urlSource(base: string, network: string, token?: string): LogSource {
  const prefix = `${base.replace(/\/+$/, '')}/audit/${networkSegment(network)}`
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const path = (kind: string, index: number, width: number) =>
    `${prefix}/tile/${kind}/${tilePath(index)}${width === TILE_WIDTH ? '' : `.p/${width}`}`
  return {
    checkpoint: async () => (await read(`${prefix}/checkpoint`))?.toString(),
    tile: ({ level, index }: TileRef, width) => read(path(String(level), index, width)),
    entries: async (index, width) => {
      const answer = await request(path('entries', index, width), headers)
      if (answer.status === 401 || answer.status === 403) return undefined
      return placed(index, await bytesOf(answer))
    }
  }
}

/** A verifier key line a server shows, by a path under its URL. */
export async function readVerifierLine(base: string): Promise<string> {
  const line = await read(`${base.replace(/\/+$/, '')}/audit/vkey`)
  if (line === undefined) throw new Error(`${base} publishes no audit trail`)
  return line.toString().trim()
}

/** A bundle that cannot be decoded has no records: verification finds each of them missing. */
function placed(index: number, bundle: Buffer | undefined): PlacedEntry[] {
  try {
    return decodeBundle(bundle ?? Buffer.alloc(0)).map((entry, place) => ({ index: index * TILE_WIDTH + place, entry }))
  } catch {
    return []
  }
}

const read = async (url: string) => bytesOf(await request(url, {}))

async function bytesOf(answer: Response): Promise<Buffer | undefined> {
  if (answer.status === 404) return undefined
  if (!answer.ok) throw new Error(`${answer.url} answers ${answer.status}`)
  return Buffer.from(await answer.arrayBuffer())
}

/** Repeats a request that met a limit, an error of the server, or a lost connection. */
async function request(url: string, headers: Record<string, string>): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(REQUEST_MS) }).catch((error: Error) => error)
    const isFinal = answer instanceof Response && answer.status !== 429 && answer.status < 500
    if (isFinal) return answer
    if (attempt === ATTEMPTS) {
      throw answer instanceof Error
        ? new Error(`${url} does not answer`, { cause: answer })
        : new Error(`${url} answers ${answer.status}`)
    }
    const seconds = answer instanceof Response ? Number(answer.headers.get('retry-after')) : 0
    await delay(Math.min(seconds || 0.2 * 2 ** attempt, 60) * 1_000)
  }
}
