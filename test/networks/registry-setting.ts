import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Database, openDatabase } from '../../src/database/database.ts'
import { type Network, type NetworkRegistry, openNetworkRegistry } from '../../src/networks/registry.ts'
import type { Log } from '../../src/util/log.ts'
import { atEnd } from '../helpers/at-end.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'

/** A member's key. */
export const KEY = 'ab'.repeat(32)
const HOUR = 3_600_000

export interface Setting {
  readonly networks: NetworkRegistry
  readonly sql: Database['sql']
  readonly database: Switchable
  readonly lines: { level: string; message: string; facts: object }[]
  readonly changes: [string, Network | undefined][]
  write(uid: string, more?: object): Promise<void>
  remove(uid: string): Promise<void>
}

/** A database that can be away, and counts what it is asked. */
interface Switchable extends Database {
  failure: Error | undefined
  asked: number
}

function switchable(database: Database): Switchable {
  const switched: Switchable = Object.assign(Object.create(database), {
    ...{ sql: database.sql, failure: undefined, asked: 0 },
    within: <T>(query: PromiseLike<T>, ms?: number) => {
      switched.asked += 1
      if (switched.failure === undefined) return database.within(query, ms)
      query.then(undefined, () => {})
      return Promise.reject(switched.failure)
    }
  })
  return switched
}

/** A registry over an empty directory and an empty database that looks by itself only if told to. */
export async function setUp(t: TestContext, options: { pollMs?: number; before?: (setting: Setting) => unknown } = {}) {
  const { url } = await createTestDatabase(t)
  const opened = await openDatabase({ url, dataDir: '/nonexistent', poolSize: 3, deadlineMs: 5_000 }, silentLog)
  atEnd(t, () => opened.close())
  const database = switchable(opened)
  const directory = join(await temporaryDirectory(t), 'l2ps')
  const lines: Setting['lines'] = []
  const at = (level: string) => (facts: object, message: string) => void lines.push({ level, message, facts })
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  const changes: Setting['changes'] = []
  const write = async (uid: string, more: object = {}) => {
    await mkdir(join(directory, uid), { recursive: true })
    await writeFile(join(directory, uid, 'config.json'), JSON.stringify({ uid, enabled: true, ...more }))
  }
  const remove = (uid: string) => rm(join(directory, uid), { recursive: true })
  const setting = { sql: database.sql, database, lines, changes, write, remove }
  await options.before?.(setting as unknown as Setting)
  const networks = await openNetworkRegistry({ directory, database, log, pollMs: options.pollMs ?? HOUR })
  atEnd(t, () => networks.close())
  networks.onChange((uid, network) => changes.push([uid, network]))
  return { ...setting, networks } satisfies Setting
}
