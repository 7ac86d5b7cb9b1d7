import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConnectionString, type Target } from '../../src/database/connection-string.ts'
import { StartError } from '../../src/util/start-error.ts'

const read = (text: string, env = {}) => readConnectionString(text, env)
const placesOf = (target: Target) =>
  target.places.map(({ host, address, port }) => [host, port, ...(address ? [address] : [])])

test('hosts are read as libpq reads them', () => {
  const cases: [string, unknown[]][] = [
    ['postgres://u:p@db/x', [['db', 5432]]],
    ['postgresql://u:p@db:6432/x', [['db', 6432]]],
    ['postgres://u@[::1]:5433/x', [['::1', 5433]]],
    ['postgres://u@[fe80::1%25eth0]/x', [['fe80::1%25eth0', 5432]]],
    [
      'postgres://u@one:1,two,[::1]:3/x',
      [
        ['one', 1],
        ['two', 5432],
        ['::1', 3]
      ]
    ],
    ['postgres://u@%2Fvar%2Frun%2Fpostgresql/x', [['/var/run/postgresql', 5432]]],
    ['postgres:///x?host=/run/postgresql&port=5433', [['/run/postgresql', 5433]]],
    [
      'postgres://u@/x?host=one,two&port=5433',
      [
        ['one', 5433],
        ['two', 5433]
      ]
    ],
    ['postgres://u@db/x?hostaddr=10.0.0.7', [['db', 5432, '10.0.0.7']]],
    ['postgres:///x', [['localhost', 5432]]],
    ['postgres://', [['localhost', 5432]]]
  ]
  for (const [text, places] of cases) assert.deepEqual(placesOf(read(text)), places, text)
})

test('users, passwords and databases may hold any character', () => {
  const { user, password, database } = read('postgres://re%3Alay:p%40ss%2Fw:rd?#x@db/my%20data')
  assert.deepEqual([user, password, database], ['re:lay', 'p@ss/w:rd?#x', 'my data'])
  const inQuery = read('postgres://db/?user=relay&password=a%26b+c&dbname=data')
  assert.deepEqual([inQuery.user, inQuery.password, inQuery.database], ['relay', 'a&b+c', 'data'])
})

test('what psql takes is taken, and what is not known is named', () => {
  const query = [
    ...[
      'sslmode=verify-full',
      'sslrootcert=/etc/ca.pem',
      'channel_binding=require',
      'keepalives=1',
      'keepalives_idle=30'
    ],
    ...['gssencmode=prefer', 'connect_timeout=7', 'target_session_attrs=read-write', 'application_name=mine']
  ]
  const { parameters, warnings } = read(`postgres://u@db/x?${query.join('&')}`)
  assert.equal(parameters.sslmode, 'verify-full')
  assert.deepEqual(warnings, [])
  assert.deepEqual(read('postgres://u@db/x?pgbouncer=true&sslmode=require').warnings, [
    'the parameter "pgbouncer" of DATABASE_URL is not known and is ignored'
  ])
  assert.equal(read('postgres://u@db/x?ssl=true').parameters.sslmode, 'require')
})

test('PG* variables fill in what a string leaves out, and change nothing that it says', () => {
  const env = {
    ...{ PGHOST: 'other', PGPORT: '1', PGUSER: 'somebody', PGDATABASE: 'else', PGPASSWORD: 'secret' },
    ...{ PGSSLMODE: 'verify-full', PGOPTIONS: '-c bytea_output=escape', PGTARGETSESSIONATTRS: 'any' }
  }
  const whole = 'postgres://u:p@db:5433/x'
  assert.deepEqual(read(whole, env), read(whole))
  assert.deepEqual(placesOf(read('postgres://u@db/x', env)), [['db', 5432]])
  const { user, password, database, places } = read('postgres://', env)
  assert.deepEqual(
    [user, password, database, places[0]!.host, places[0]!.port],
    ['somebody', 'secret', 'else', 'other', 1]
  )
})

test('a string that cannot be used is refused in words, without repeating any of it', () => {
  const cases: [string, RegExp][] = [
    ['mysql://u:hunter2@db/x', /must be like postgres:\/\/USER:PASSWORD@HOST/],
    ['postgres://u:hunter2%zz@db/x', /a % in the password that begins no %XX/],
    ['postgres://u:hunter2@[::1/x', /an IPv6 address goes into \[ \]/],
    ['postgres://u:hunter2@db:port/x', /host or port/],
    ['postgres://u:hunter2@db:70000/x', /from 1 to 65535/],
    ['postgres://u:hunter2@a,b,c/x?port=1,2', /2 ports for 3 hosts/],
    ['postgres://u:hunter2@db/x?sslmode=on', /sslmode that is not one of disable, allow/],
    ['postgres://u:hunter2@db/x?target_session_attrs=standby', /this server writes/],
    ['postgres://u:hunter2@db/x?gssencmode=require', /use sslmode/],
    ['postgres://u:hunter2@db/x?require_auth=scram-sha-256', /require_auth, which this server cannot honour/],
    ['postgres://u:hunter2@db/x?sslnegotiation=direct', /sslmode=require/],
    ['postgres://u:hunter2@db/x?connect_timeout=soon', /number of seconds/]
  ]
  for (const [text, reason] of cases) {
    assert.throws(
      () => read(text),
      (error: Error) => {
        assert.ok(error instanceof StartError)
        assert.match(error.message, reason)
        assert.doesNotMatch(error.message, /hunter2/)
        return true
      },
      text
    )
  }
})
