import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DatabaseUnavailable } from '../../src/database/database.ts'
import { until } from '../helpers/wait.ts'
import { KEY, setUp } from './registry-setting.ts'

test('what operators change is picked up by itself: file, row, members, enabling', async (t) => {
  const { networks, sql, write } = await setUp(t, {
    pollMs: 20,
    before: ({ write }) => write('filed', { enabled: false })
  })
  const pickedUp = (holds: () => boolean | undefined) => until('the change is picked up', holds, 5_000)
  assert.equal(networks.find('filed')?.enabled, false)
  await write('filed')
  await pickedUp(() => networks.find('filed')?.enabled)
  await sql`insert into l2ps_network (uid, enabled) values ('rowed', false)`
  await pickedUp(() => networks.find('rowed')?.enabled === false)
  await sql`update l2ps_network set enabled = true where uid = 'rowed'`
  await pickedUp(() => networks.find('rowed')?.enabled)
  await sql`insert into l2ps_member (uid, peer) values ('rowed', ${KEY})`
  await pickedUp(() => networks.find('rowed')?.members?.has(KEY))
  await sql`delete from l2ps_network where uid = 'rowed'`
  await pickedUp(() => networks.find('rowed') === undefined)
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
