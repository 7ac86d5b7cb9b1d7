import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type FilesFound, MAX_FILE_BYTES, NetworkFiles } from '../../src/networks/network-files.ts'
import { peerKeyOf } from '../../src/protocol/peer-key.ts'
import { temporaryDirectory } from '../helpers/database.ts'

/** A working directory with data/l2ps in it, as operators have it. */
async function place(t: TestContext) {
  const home = await temporaryDirectory(t)
  const directory = join(home, 'data', 'l2ps')
  await mkdir(directory, { recursive: true })
  const write = async (name: string, config: unknown) => {
    await mkdir(join(directory, name), { recursive: true })
    await writeFile(join(directory, name, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config))
  }
  return { home, directory, write, files: new NetworkFiles(directory, home) }
}

const valid = (uid: string, more: object = {}) => ({ uid, enabled: true, ...more })
const uids = ({ networks }: FilesFound) => networks.map((network) => network.uid)
const reasons = ({ faults }: FilesFound) => faults.map(({ place, reason }) => `${place}: ${reason}`)

/** What one configuration of a network `net` is faulty for, beside a good network that must not suffer. */
async function faultsOf(t: TestContext, config: unknown): Promise<string[]> {
  const { files, write } = await place(t)
  await write('good', valid('good'))
  await write('net', config)
  const found = await files.read()
  assert.deepEqual(uids(found), ['good'])
  return reasons(found)
}

test('a network is read as nodes keep it, its further fields tolerated', async (t) => {
  const { files, write, directory } = await place(t)
  await write('testnet_l2ps_001', {
    ...{ uid: 'testnet_l2ps_001', name: 'optional text', description: 'optional', enabled: true, auto_start: true },
    config: {
      created_at_block: 0,
      known_rpcs: ['http://127.0.0.1:53550'],
      network_params: { max_tx_per_block: 0, block_time_ms: 0, consensus_threshold: 0 }
    },
    keys: {
      private_key_path: 'data/l2ps/testnet_l2ps_001/private_key.txt',
      iv_path: 'data/l2ps/testnet_l2ps_001/iv.txt'
    }
  })
  await writeFile(join(directory, 'testnet_l2ps_001', 'private_key.txt'), ` 0x${'aB'.repeat(32)}\n`)
  assert.deepEqual(await files.read(), {
    networks: [
      {
        ...{ uid: 'testnet_l2ps_001', name: 'optional text', description: 'optional' },
        ...{ enabled: true, auditPublic: false, members: undefined, source: 'file' }
      }
    ],
    faults: []
  })
})

test('a disabled network is there, and disabled', async (t) => {
  const { files, write } = await place(t)
  await write('off', { uid: 'off', enabled: false })
  assert.equal((await files.read()).networks[0]?.enabled, false)
})

test('members are one address each, in whatever letter case and with or without 0x they are written', async (t) => {
  const { files, write } = await place(t)
  const [ed25519, falcon, mlDsa] = [64, 1794, 3904].map((digits) => 'aB'.repeat(digits / 2)) as [string, string, string]
  const members = [ed25519, `0x${ed25519}`, `0X${ed25519.toUpperCase()}`, ed25519.toLowerCase(), falcon, `0x${mlDsa}`]
  await write('club', valid('club', { members }))
  await write('nobody', valid('nobody', { members: [] }))
  const { networks, faults } = await files.read()
  assert.deepEqual(faults, [])
  const expected = [ed25519.toLowerCase(), peerKeyOf(falcon)?.address, peerKeyOf(mlDsa)?.address]
  assert.deepEqual([...networks[0]!.members!], expected)
  assert.equal(networks[1]!.members?.size, 0, 'an empty list lets nobody in')
})

test('what is no network is skipped: no directory, no config.json, hidden, a file', async (t) => {
  const { files, directory, write } = await place(t)
  await rm(directory, { recursive: true })
  assert.deepEqual(await files.read(), { networks: [], faults: [] })
  await mkdir(join(directory, 'empty'), { recursive: true })
  await mkdir(join(directory, 'not a uid'))
  await write('.hidden', 'no JSON')
  await writeFile(join(directory, 'README.md'), 'words')
  await symlink(join(directory, 'README.md'), join(directory, 'link'))
  assert.deepEqual(await files.read(), { networks: [], faults: [] })
})

const WRONG: [name: string, config: unknown, reason: RegExp][] = [
  ['broken JSON', '{"uid":"net",', /^net\/config.json: not JSON$/],
  ['an empty file', '', /not JSON/],
  ['no object', '[]', /: config must be an object$/],
  ['null', 'null', /: config must be an object$/],
  ['no uid', { enabled: true }, /: uid is missing: it must be 1 to 128 letters, digits, - and _$/],
  ['a uid of another type', { uid: 7, enabled: true }, /: uid must be 1 to 128 letters/],
  ['another uid than its directory', valid('other'), /uid is not the name of its directory/],
  ['a uid in other letters', valid('Net'), /uid is not the name of its directory/],
  ['no enabled', { uid: 'net' }, /: enabled is missing: it must be true or false$/],
  ['an enabled of another type', { uid: 'net', enabled: 'true' }, /: enabled must be true or false$/],
  ['a name of another type', valid('net', { name: {} }), /: name must be text of at most 256 characters$/],
  ['a name that is too long', valid('net', { name: 'x'.repeat(257) }), /: name must be text of at most 256/],
  ['a description of another type', valid('net', { description: 1 }), /: description must be text of at most 4096/],
  ['members of another type', valid('net', { members: 'a' }), /: members must be a list$/],
  ['a member of another type', valid('net', { members: [1] }), /: members\/0 must be text$/],
  ['keys of another type', valid('net', { keys: [] }), /: keys must be an object$/],
  [
    'a key path of another type',
    valid('net', { keys: { iv_path: 1 } }),
    /: keys\/iv_path must be a path of 1 to 4096 characters, without NUL$/
  ],
  ['a key path with NUL', valid('net', { keys: { iv_path: 'a\u0000' } }), /: keys\/iv_path must be a path/],
  ['a giant file', JSON.stringify(valid('net', { x: 'x'.repeat(MAX_FILE_BYTES) })), /larger than 65536 bytes/]
]
for (const [name, config, reason] of WRONG) {
  test(`a configuration with ${name} is a fault, and stops no other network`, async (t) => {
    const [fault, ...others] = await faultsOf(t, config)
    assert.match(fault!, reason)
    assert.deepEqual(others, [])
  })
}

test('a file of exactly the largest size is read', async (t) => {
  const { files, write } = await place(t)
  const text = JSON.stringify(valid('big'))
  await write('big', text.padEnd(MAX_FILE_BYTES))
  assert.deepEqual(uids(await files.read()), ['big'])
})

test('a member that is no key is a fault which does not repeat it', async (t) => {
  const key = 'c'.repeat(64)
  for (const wrong of [
    '',
    '0x',
    key.slice(1),
    `${key}c`,
    `g${key.slice(1)}`,
    ` ${key}`,
    `0x0x${key}`,
    'c'.repeat(3905)
  ]) {
    const faults = await faultsOf(t, valid('net', { members: [key, wrong] }))
    assert.deepEqual(faults, ['net/config.json: members/1: not a key of 64, 1794 or 3904 hex digits'], wrong)
  }
})

test('bytes that are no UTF-8 are a fault; a byte order mark is none', async (t) => {
  const { files, write, directory } = await place(t)
  await write('bom', `\uFEFF${JSON.stringify(valid('bom'))}`)
  await write('latin', '')
  await writeFile(
    join(directory, 'latin', 'config.json'),
    Buffer.from('{"uid":"latin","enabled":true,"name":"\xe9"}', 'latin1')
  )
  const found = await files.read()
  assert.deepEqual(uids(found), ['bom'])
  assert.deepEqual(reasons(found), ['latin/config.json: not UTF-8'])
})

test('a directory whose name is no uid, or is reserved, is a fault when it claims to be a network', async (t) => {
  const { files, write } = await place(t)
  const names = ['a b', 'ünïcode', 'x'.repeat(129), 'signaling', 'anchors', 'a.b']
  for (const name of names) await write(name, valid(name))
  await write('x'.repeat(128), valid('x'.repeat(128)))
  const found = await files.read()
  assert.deepEqual(uids(found), ['x'.repeat(128)])
  const expected = names.map((name) => `${name}/config.json: the name of its directory is no uid`)
  assert.deepEqual(reasons(found).sort(), expected.sort())
})

test('links that lead out of the directory of networks are faults; those inside are followed', async (t) => {
  const { files, write, directory, home } = await place(t)
  await mkdir(join(home, 'outside'))
  for (const name of ['outlaw', 'linked']) {
    await writeFile(join(home, 'outside', 'config.json'), JSON.stringify(valid(name)))
  }
  await symlink(join(home, 'outside'), join(directory, 'linked'))
  await mkdir(join(directory, 'outlaw'))
  await symlink(join(home, 'outside', 'config.json'), join(directory, 'outlaw', 'config.json'))
  await write('..data', valid('mounted')) // as Kubernetes mounts a ConfigMap
  await mkdir(join(directory, 'mounted'))
  await symlink('../..data/config.json', join(directory, 'mounted', 'config.json'))
  await symlink('loop', join(directory, 'loop'))
  const found = await files.read()
  assert.deepEqual(uids(found), ['mounted'])
  assert.deepEqual(reasons(found), [
    'linked/config.json: leads out of L2PS_DIR',
    'loop/config.json: cannot be read (ELOOP)',
    'outlaw/config.json: leads out of L2PS_DIR'
  ])
})

test('a pipe, a device or a directory in the place of config.json is a fault, and nobody waits for it', async (t) => {
  const { files, directory } = await place(t)
  await mkdir(join(directory, 'pipe'))
  execFileSync('mkfifo', [join(directory, 'pipe', 'config.json')])
  await mkdir(join(directory, 'dir', 'config.json'), { recursive: true })
  assert.deepEqual(reasons(await files.read()), ['dir/config.json: not a file', 'pipe/config.json: not a file'])
})

test('key paths must stay in the working directory or in L2PS_DIR, however they try', async (t) => {
  const { home } = await place(t)
  for (const path of [
    '../key.txt',
    '/etc/hostname',
    'data/../../key.txt',
    '../../../key.txt',
    '..',
    '.',
    `${home}-2/key`
  ]) {
    const faults = await faultsOf(t, valid('net', { keys: { private_key_path: path } }))
    const words = 'leads out of L2PS_DIR and of the working directory'
    assert.deepEqual(faults, [`net/config.json: keys/private_key_path: ${words}`], path)
  }
})

test('a key file may be missing, relative to either directory, absolute, or only for others to read', async (t) => {
  const { files, write, directory, home } = await place(t)
  await writeFile(join(home, 'theirs.txt'), 'ff')
  await chmod(join(home, 'theirs.txt'), 0)
  await writeFile(join(home, 'here.txt'), '0XABcd\n')
  const paths = [
    'missing.txt',
    'here.txt',
    'a/iv.txt',
    join(directory, 'a', 'iv.txt'),
    'theirs.txt',
    '..data/x',
    'here.txt/x'
  ]
  for (const [index, path] of paths.entries()) {
    await write(`net-${index}`, valid(`net-${index}`, { keys: { private_key_path: path, iv_path: path } }))
  }
  const found = await files.read()
  assert.deepEqual(reasons(found), [])
  assert.equal(found.networks.length, paths.length)
})

test('a key file that is no hex text, or leads out by a link, is a fault until it is put right', async (t) => {
  const { files, write, directory, home } = await place(t)
  const outside = await temporaryDirectory(t)
  await writeFile(join(outside, 'key.txt'), 'ff')
  await symlink(join(outside, 'key.txt'), join(home, 'link.txt'))
  await write('link', valid('link', { keys: { iv_path: 'link.txt' } }))
  const contents = { words: 'secret words', odd: 'abc', none: '', big: 'ff'.repeat(MAX_FILE_BYTES) }
  for (const [name, text] of Object.entries(contents)) {
    await write(name, valid(name, { keys: { iv_path: `${name}/iv.txt` } }))
    await writeFile(join(directory, name, 'iv.txt'), text)
  }
  assert.deepEqual(reasons(await files.read()), [
    'big/config.json: keys/iv_path: larger than 65536 bytes',
    'link/config.json: keys/iv_path: leads out of L2PS_DIR and of the working directory',
    'none/config.json: keys/iv_path: the file is no hex text',
    'odd/config.json: keys/iv_path: the file is no hex text',
    'words/config.json: keys/iv_path: the file is no hex text'
  ])
  await rm(join(home, 'link.txt'))
  for (const name of Object.keys(contents)) await writeFile(join(directory, name, 'iv.txt'), 'ff 00\n')
  const found = await files.read()
  assert.deepEqual(reasons(found), [])
  assert.equal(found.networks.length, 5)
})

test('a file that becomes faulty leaves its network as it was; one that is removed takes it along', async (t) => {
  const { files, write, directory } = await place(t)
  await write('net', valid('net', { name: 'first' }))
  await files.read()
  await truncate(join(directory, 'net', 'config.json'), 5)
  const half = await files.read()
  assert.equal(half.networks[0]?.name, 'first')
  assert.deepEqual(reasons(half), ['net/config.json: not JSON; the last valid version stays in force'])
  await write('net', valid('net', { name: 'second' }))
  assert.equal((await files.read()).networks[0]?.name, 'second')
  await rm(join(directory, 'net', 'config.json'))
  assert.deepEqual(await files.read(), { networks: [], faults: [] })
})

test('a directory of networks that cannot be read is a fault, and those known stay', async (t) => {
  const { files, write, directory } = await place(t)
  await write('net', valid('net'))
  await files.read()
  await rename(directory, `${directory}.away`)
  await writeFile(directory, 'not a directory')
  const found = await files.read()
  assert.deepEqual(uids(found), ['net'])
  assert.deepEqual(reasons(found), [
    'L2PS_DIR: the directory of networks cannot be read (ENOTDIR); those known before stay'
  ])
})

test('a change of the same size within the same moment is seen, and one that keeps the time of the file', async (t) => {
  const { files, write, directory } = await place(t)
  const config = join(directory, 'net', 'config.json')
  for (let round = 0; round < 20; round++) {
    await write('net', valid('net', { name: `name ${round % 10}` }))
    await utimes(config, 1, 1)
    assert.equal((await files.read()).networks[0]?.name, `name ${round % 10}`)
  }
})
