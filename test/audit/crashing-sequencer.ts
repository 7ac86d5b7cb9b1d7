// Run by crash.test.ts: integrates and signs what is in the inbox, and kills itself at the point it is told.
import { open } from 'node:fs/promises'
import { openAuditTrail } from '../../src/audit/trail.ts'
import { type Database, openDatabase, type Sql } from '../../src/database/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { trailOptions } from './trail-options.ts'

const [url = '', dataDir = '', dieAt = ''] = process.argv.slice(2)
let points = 0

/** A moment the process may die at; kill -9 leaves nothing to clean up with. */
function point(): void {
  points += 1
  if (points === Number(dieAt)) process.kill(process.pid, 'SIGKILL')
}

const around = async <T>(work: () => PromiseLike<T>): Promise<T> => {
  point()
  const result = await work()
  point()
  return result
}

/** A point before and after each transaction, and before each statement in it. */
function fragile(database: Database): Database {
  const sql = new Proxy(database.sql, {
    get: (target, key) =>
      key !== 'begin'
        ? Reflect.get(target, key)
        : (work: (tx: object) => Promise<unknown>) =>
            target.begin((tx) => {
              const apply = (statement: Parameters<typeof Reflect.apply>[0], self: unknown, args: unknown[]) => {
                point()
                return Reflect.apply(statement, self, args)
              }
              return work(new Proxy(tx, { apply })) as Promise<never>
            })
  }) as Sql
  return {
    ...{ sql, embedded: false, isPooledByTransaction: false, deadlineMs: database.deadlineMs },
    urgent: sql,
    isDiskFull: false,
    server: () => database.server(),
    role: () => database.role(),
    within: (query, ms) => around(() => database.within(query, ms)),
    ask: (question) => database.ask(question),
    reserve: (listener) => database.reserve(listener),
    stats: () => database.stats(),
    close: () => database.close()
  }
}

/** A point before and after each sync: around the writing of a checkpoint file, its rename and its directory. */
async function makeFilesFragile(): Promise<void> {
  const file = await open(process.execPath)
  const handle = Object.getPrototypeOf(file) as { sync(): Promise<void> }
  await file.close()
  const { sync } = handle
  handle.sync = function (this: unknown) {
    return around(() => sync.call(this))
  }
}

const database = await openDatabase({ url, dataDir, poolSize: 2, deadlineMs: 20_000 }, silentLog)
const trail = await openAuditTrail(fragile(database), silentLog, trailOptions(dataDir, { batchEvents: 1_000 }))
await makeFilesFragile()
while (await trail.sequencer.round());
await database.close()
process.stdout.write(`${points}\n`)
