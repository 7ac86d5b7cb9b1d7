import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Network, type NetworkRegistry, openNetworkRegistry } from '../../src/l2ps/networks.ts'
import { type Database, DatabaseUnavailable, openDatabase } from '../../src/store/database.ts'
import type { Log } from '../../src/store/log.ts'
import { atEnd } from '../helpers/at-end.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'

const KEY = 'ab'.repeat(32)
const HOUR = 3_600_000

interface Setting {
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
async function setUp(t: TestContext, options: { pollMs?: number; before?: (setting: Setting) => unknown } = {}) {
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

test('networks come from files and from the database', async (t) => {
  const { networks } = await setUp(t, {
    before: async ({ sql, write }) => {
      await write('filed', { name: 'On file' })
      await sql`insert into l2ps_network (uid, name, description, enabled) values ('rowed', 'In a row', 'words', false)`
    }
  })
  const open = { description: undefined, enabled: true, members: undefined }
  assert.deepEqual(networks.find('filed'), { ...open, uid: 'filed', name: 'On file', source: 'file' })
  assert.deepEqual(networks.find('rowed'), {
    ...{ uid: 'rowed', name: 'In a row', description: 'words', enabled: false, members: undefined, source: 'database' }
  })
  assert.equal(networks.list().length, 2)
  assert.deepEqual(networks.faults(), [])
})

test('what is no uid is no network, and costs no look', async (t) => {
  const { networks, database, write } = await setUp(t)
  await write('a')
  const asked = database.asked
  const wrong = [
    '../a',
    'a/../a',
    'a/b',
    '',
    '.',
    '..',
    'a'.repeat(200),
    'ünïcode',
    'a\n',
    'a\u0000',
    'signaling',
    'anchors'
  ]
  for (const uid of [...wrong, '__proto__', 'constructor']) {
    assert.equal(networks.find(uid), undefined, uid)
    if (wrong.includes(uid)) assert.equal(await networks.lookUp(uid), undefined, uid)
  }
  assert.equal(database.asked, asked)
  assert.equal(await networks.lookUp('constructor'), undefined)
})

test('a registration finds a network that was made a moment ago, in a file or in the database', async (t) => {
  const { networks, sql, write } = await setUp(t)
  assert.equal(await networks.lookUp('filed'), undefined)
  await write('filed')
  await sql`insert into l2ps_network (uid) values ('rowed')`
  assert.equal(networks.find('filed'), undefined)
  const [filed, rowed] = await Promise.all([networks.lookUp('filed'), networks.lookUp('rowed')])
  assert.equal(filed?.source, 'file')
  assert.equal(rowed?.source, 'database')
})

test('unknown networks asked for again and again share their looks', async (t) => {
  const { networks, database, write } = await setUp(t)
  await networks.lookUp('nothing')
  const asked = database.asked
  const start = performance.now()
  while (performance.now() - start < 1_200) {
    await Promise.all(Array.from({ length: 100 }, (_, index) => networks.lookUp(`nothing-${index}`)))
  }
  assert.ok(database.asked - asked <= 5, `${database.asked - asked} queries`)
  await write('found')
  assert.equal((await networks.lookUp('found'))?.uid, 'found')
})

test('a known network is answered from memory', async (t) => {
  const { networks, database } = await setUp(t, { before: ({ write }) => write('known') })
  const asked = database.asked
  for (let n = 0; n < 100; n++) assert.equal((await networks.lookUp('known'))?.uid, 'known')
  assert.equal(database.asked, asked)
})

test('what operators change is picked up by itself: file, row, members, enabling', async (t) => {
  const { networks, sql, write } = await setUp(t, {
    pollMs: 20,
    before: ({ write }) => write('filed', { enabled: false })
  })
  const until = async (holds: () => boolean | undefined) => {
    const end = performance.now() + 5_000
    while (!holds()) {
      assert.ok(performance.now() < end, 'not picked up')
      await delay(5)
    }
  }
  assert.equal(networks.find('filed')?.enabled, false)
  await write('filed')
  await until(() => networks.find('filed')?.enabled)
  await sql`insert into l2ps_network (uid, enabled) values ('rowed', false)`
  await until(() => networks.find('rowed')?.enabled === false)
  await sql`update l2ps_network set enabled = true where uid = 'rowed'`
  await until(() => networks.find('rowed')?.enabled)
  await sql`insert into l2ps_member (uid, peer) values ('rowed', ${KEY})`
  await until(() => networks.find('rowed')?.members?.has(KEY))
  await sql`delete from l2ps_network where uid = 'rowed'`
  await until(() => networks.find('rowed') === undefined)
})

test('every change is told once, with what the network is now', async (t) => {
  const { networks, changes, sql, write, remove } = await setUp(t, { before: ({ write }) => write('filed') })
  const told = async (work: () => PromiseLike<unknown>) => {
    changes.length = 0
    await work()
    await networks.refresh()
    await networks.refresh()
    return changes.map(([uid, network]) => [
      uid,
      network?.enabled,
      network?.members?.size,
      network === networks.find(uid)
    ])
  }
  assert.deepEqual(await told(async () => {}), [])
  assert.deepEqual(await told(() => write('filed')), [], 'written again with the same content')
  assert.deepEqual(await told(() => write('filed', { enabled: false })), [['filed', false, undefined, true]])
  assert.deepEqual(await told(() => write('filed', { members: [KEY] })), [['filed', true, 1, true]])
  assert.deepEqual(await told(() => write('filed', { members: ['cd'.repeat(32)] })), [['filed', true, 1, true]])
  assert.deepEqual(await told(() => remove('filed')), [['filed', undefined, undefined, true]])
  const add = () => sql`insert into l2ps_network (uid) values ('rowed')`
  assert.deepEqual(await told(add), [['rowed', true, undefined, true]])
  const addMember = () => sql`insert into l2ps_member (uid, peer) values ('rowed', ${KEY})`
  assert.deepEqual(await told(addMember), [['rowed', true, 1, true]])
  assert.deepEqual(await told(() => sql`delete from l2ps_member`), [['rowed', true, 0, true]])
  assert.deepEqual(await told(() => sql`truncate l2ps_network cascade`), [['rowed', undefined, undefined, true]])
})

test('a listener that throws keeps no other from hearing of the change', async (t) => {
  const { networks, lines, write } = await setUp(t)
  networks.onChange(() => {
    throw new Error('deaf')
  })
  const heard: string[] = []
  networks.onChange((uid) => heard.push(uid))
  await write('a')
  await write('b')
  await networks.refresh()
  assert.deepEqual(heard, ['a', 'b'])
  assert.equal(lines.filter(({ level }) => level === 'error').length, 2)
})

test('the database wins where both define a network; without its row the file is in force again', async (t) => {
  const { networks, changes, sql, write } = await setUp(t, { before: ({ write }) => write('both', { name: 'filed' }) })
  await sql`insert into l2ps_network (uid, name, enabled) values ('both', 'rowed', false)`
  await networks.refresh()
  assert.deepEqual([networks.find('both')?.source, networks.find('both')?.enabled], ['database', false])
  await write('both', { name: 'filed again' })
  await networks.refresh()
  assert.equal(networks.find('both')?.name, 'rowed')
  assert.equal(changes.length, 1)
  assert.equal(networks.list().length, 1)
  await sql`delete from l2ps_network`
  await networks.refresh()
  assert.deepEqual([networks.find('both')?.source, networks.find('both')?.name], ['file', 'filed again'])
})

test('while the database is away what is known stays, files are followed, and only unknown networks fail', async (t) => {
  const { networks, database, changes, sql, write } = await setUp(t, {
    before: ({ sql }) => sql`insert into l2ps_network (uid) values ('rowed')`
  })
  database.failure = new DatabaseUnavailable('away')
  await networks.refresh()
  assert.equal((await networks.lookUp('rowed'))?.uid, 'rowed')
  assert.deepEqual(changes, [])
  await assert.rejects(networks.lookUp('unknown'), DatabaseUnavailable)
  await write('filed')
  assert.equal((await networks.lookUp('filed'))?.uid, 'filed')
  assert.deepEqual(networks.faults(), [], 'readiness says so under its own name')
  database.failure = undefined
  await sql`update l2ps_network set enabled = false`
  await networks.refresh()
  assert.equal(networks.find('rowed')?.enabled, false)
  assert.equal(await networks.lookUp('unknown'), undefined)
})

test('a server that starts while the database is away has its files, and learns the rest later', async (t) => {
  const { networks, database } = await setUp(t, {
    before: async ({ sql, database, write }) => {
      await write('filed')
      await sql`insert into l2ps_network (uid) values ('rowed')`
      database.failure = new DatabaseUnavailable('away')
    }
  })
  assert.deepEqual(
    networks.list().map(({ uid }) => uid),
    ['filed']
  )
  database.failure = undefined
  await networks.refresh()
  assert.equal(networks.list().length, 2)
})

test('a database restored from a backup is read anew, though its revision may be the same', async (t) => {
  const { networks, database, sql } = await setUp(t, {
    before: ({ sql }) => sql`insert into l2ps_network (uid) values ('rowed')`
  })
  database.failure = new DatabaseUnavailable('away')
  await networks.refresh()
  database.failure = undefined
  await sql`delete from l2ps_network`
  await sql`update l2ps_revision set number = number - 1`
  await networks.refresh()
  assert.deepEqual(networks.list(), [])
})

test('tables that cannot be read are a fault, logged once with its cause', async (t) => {
  const { networks, database, lines } = await setUp(t)
  database.failure = new Error('permission denied for table l2ps_network')
  for (let n = 0; n < 3; n++) await networks.refresh()
  assert.deepEqual(networks.faults(), [
    { place: 'database', reason: 'its networks cannot be read; those known before stay' }
  ])
  assert.equal(lines.filter(({ message }) => message === 'L2PS networks in the database cannot be read').length, 1)
  await assert.rejects(networks.lookUp('unknown'), DatabaseUnavailable)
  database.failure = undefined
  await networks.refresh()
  assert.deepEqual(networks.faults(), [])
})

test('a fault is logged when it appears and when it is gone, never in between, and no line holds a key', async (t) => {
  const { networks, lines, write } = await setUp(t, { before: ({ write }) => write('good', { members: [KEY] }) })
  await write('net', { members: [KEY, KEY.slice(1)] })
  const fault = {
    place: 'net/config.json',
    reason: 'members/1: not a key of 64, 1794 or 3904 hex digits'
  }
  for (let n = 0; n < 3; n++) await networks.refresh()
  assert.deepEqual(networks.faults(), [fault])
  await write('net', { members: [KEY] })
  for (let n = 0; n < 3; n++) await networks.refresh()
  assert.deepEqual(networks.faults(), [])
  const about = lines.filter(({ message }) => message.includes('fault'))
  assert.deepEqual(about, [
    { level: 'warn', message: 'L2PS network configuration is faulty', facts: fault },
    { level: 'info', message: 'fault of an L2PS network configuration is gone', facts: fault }
  ])
  assert.ok(!JSON.stringify(lines).includes(KEY.slice(1)))
})

test('a thousand networks in files and a thousand in the database are all there, and looks stay cheap', async (t) => {
  const names = Array.from({ length: 1_000 }, (_, index) => `net-${index}`)
  const { networks, changes, write } = await setUp(t, {
    before: async ({ sql, write }) => {
      for (const name of names) await write(name)
      await sql`insert into l2ps_network (uid) select 'row-' || n from generate_series(1, 1000) as n`
      await sql`insert into l2ps_member (uid, peer) select uid, ${KEY} from l2ps_network`
    }
  })
  assert.equal(networks.list().length, 2_000)
  assert.ok(networks.find('row-1000')?.members?.has(KEY))
  await write('net-500', { enabled: false })
  await networks.refresh()
  assert.deepEqual(
    changes.map(([uid, network]) => [uid, network?.enabled]),
    [['net-500', false]]
  )
})

test('a refresh shows what was changed before it was asked for, though another look is under way', async (t) => {
  const { networks, write, remove } = await setUp(t)
  for (let round = 0; round < 10; round++) {
    const underWay = networks.refresh()
    await write('net')
    await Promise.all([networks.refresh(), networks.refresh(), underWay])
    assert.ok(networks.find('net'))
    await remove('net')
    await networks.refresh()
    assert.equal(networks.find('net'), undefined)
  }
})

test('a closed registry looks no further and keeps no process alive', async (t) => {
  const { networks, database, changes, write } = await setUp(t, { pollMs: 5 })
  await delay(30)
  await networks.close()
  const asked = database.asked
  await write('late')
  await delay(40)
  await networks.refresh()
  assert.equal(await networks.lookUp('late'), undefined)
  assert.equal(database.asked, asked)
  assert.deepEqual(changes, [])
})
