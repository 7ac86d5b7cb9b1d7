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
  for (const old of ['ssl=true', 'requiressl=1']) {
    assert.equal(read(`postgres://u@db/x?${old}`).parameters.sslmode, 'require')
  }
})

/** All parameters of libpq in PostgreSQL 18 (its manual, "Parameter Key Words"), with a value each. */
const LIBPQ_PARAMETERS = `
  host=db hostaddr=10.0.0.7 port=5433 dbname=x user=u password=p passfile=/f channel_binding=prefer connect_timeout=7
  client_encoding=auto options=-cgeqo%3Doff application_name=a fallback_application_name=b keepalives=1 keepalives_idle=30
  keepalives_interval=10 keepalives_count=3 tcp_user_timeout=0 gssencmode=prefer sslmode=require requiressl=1
  sslnegotiation=postgres sslcompression=0 sslcert=/c sslkey=/k sslkeylogfile=/l sslpassword=s sslcertmode=allow
  sslrootcert=/r sslsni=1 ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.3 min_protocol_version=3.0
  max_protocol_version=latest krbsrvname=postgres gsslib=gssapi gssdelegation=0 target_session_attrs=read-write
  load_balance_hosts=disable`
const NOT_HONOURED = `
  require_auth=none requirepeer=postgres sslcrl=/l sslcrldir=/d service=s servicefile=/f replication=database
  scram_client_key=a scram_server_key=a oauth_issuer=a oauth_client_id=a oauth_client_secret=a oauth_scope=a`

test('every parameter of libpq is known: those that cannot be honoured without harm are refused by name', () => {
  for (const pair of LIBPQ_PARAMETERS.trim().split(/\s+/)) {
    assert.deepEqual(read(`postgres://u@db/x?${pair}`).warnings, [], pair)
  }
  for (const pair of NOT_HONOURED.trim().split(/\s+/)) {
    const [name] = pair.split('=')
    const refused = { message: new RegExp(`has the parameter ${name}, which this server cannot honour: take it out`) }
    assert.throws(() => read(`postgres://u@db/x?${pair}`), refused, pair)
  }
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
    ['postgres://u:hunter2@db/x?connect_timeout=soon', /number of seconds/],
    ['postgres://u:hunter2@db/x%00', /has %00 in the name of the database/],
    ['postgres://u:hunter2@db/x?ssl_min_protocol_version=1.2', /not one of TLSv1, TLSv1\.1, TLSv1\.2, TLSv1\.3/]
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
