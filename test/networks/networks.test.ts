import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { KEY, setUp } from './registry-setting.ts'

test('networks come from files and from the database', async (t) => {
  const { networks } = await setUp(t, {
    before: async ({ sql, write }) => {
      await write('filed', { name: 'On file' })
      await sql`insert into l2ps_network (uid, name, description, enabled) values ('rowed', 'In a row', 'words', false)`
    }
  })
  const open = { description: undefined, enabled: true, auditPublic: false, members: undefined }
  assert.deepEqual(networks.find('filed'), { ...open, uid: 'filed', name: 'On file', source: 'file' })
  assert.deepEqual(networks.find('rowed'), {
    ...{
      uid: 'rowed',
      name: 'In a row',
      description: 'words',
      enabled: false,
      auditPublic: false,
      members: undefined,
      source: 'database'
    }
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

test('a network that was asked for too early is found once it is there', async (t) => {
  const { networks, database, sql } = await setUp(t)
  const now = performance.now.bind(performance)
  t.mock.method(performance, 'now', () => now() + 10_000) // the last poll is long ago: the first look-up reads at once
  const asked = database.asked
  assert.equal(await networks.lookUp('late'), undefined)
  assert.equal(database.asked, asked + 1)
  await sql`insert into l2ps_network (uid) values ('late')`
  assert.equal((await networks.lookUp('late'))?.uid, 'late')
  assert.equal(database.asked, asked + 2)
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
