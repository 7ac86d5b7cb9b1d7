import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Value } from '@sinclair/typebox/value'
import fc from 'fast-check'
import { databaseUrl, readConfig, signalingPort } from '../../src/config/read.ts'
import { ConfigSchema } from '../../src/config/schema.ts'
import { SETTINGS } from '../../src/config/settings.ts'

const PASSWORD = 'correct-horse-battery'

function secretFile(t: TestContext, content: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'demos-relay-secret-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'secret')
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

test('an empty environment gives every default, and the result fits the schema', () => {
  const { config, warnings } = readConfig({})
  assert.ok(config)
  assert.deepEqual(warnings, [])
  assert.ok(Value.Check(ConfigSchema, config))
  assert.deepEqual(config, Value.Create(ConfigSchema))
})

test('text becomes the type the schema asks for', () => {
  const { config } = readConfig({
    SIGNALING_SERVER_PORT: '0',
    L2PS_MESSAGING_ENABLED: 'False',
    LOG_LEVEL: 'debug',
    HOST: '::1'
  })
  assert.equal(config?.SIGNALING_SERVER_PORT, 0)
  assert.equal(config?.L2PS_MESSAGING_ENABLED, false)
  assert.equal(config?.LOG_LEVEL, 'debug')
  assert.equal(config?.HOST, '::1')
})

test('booleans are true, false, 1 or 0 in any case and nothing else', () => {
  const read = (text: string) => readConfig({ L2PS_MESSAGING_ENABLED: text })
  for (const text of ['true', 'TRUE', '1']) assert.equal(read(text).config?.L2PS_MESSAGING_ENABLED, true)
  for (const text of ['false', 'False', '0']) assert.equal(read(text).config?.L2PS_MESSAGING_ENABLED, false)
  for (const text of ['yes', 'on', '2', ' true', 'tru']) assert.equal(read(text).mistakes?.length, 1)
})

test('numbers are plain decimal integers', () => {
  for (const text of ['1e3', '0x10', ' 5', '5 ', '5.0', '+5', '5_000', '007', '-0', 'NaN', 'Infinity', '٣', '5\r']) {
    const { mistakes } = readConfig({ HEARTBEAT_SECONDS: text })
    assert.equal(mistakes?.length, 1, JSON.stringify(text))
    assert.match(mistakes[0]!, /^HEARTBEAT_SECONDS must be a whole number from 1 to 2147483647, not "/)
  }
})

test('a number outside its limits is a mistake that names the limits', () => {
  assert.deepEqual(readConfig({ DATABASE_POOL_SIZE: '1' }).mistakes, [
    'DATABASE_POOL_SIZE must be a whole number from 2 to 100, not "1".'
  ])
  assert.equal(readConfig({ SIGNALING_SERVER_PORT: '65536' }).mistakes?.length, 1)
  assert.equal(readConfig({ SIGNALING_SERVER_PORT: '-1' }).mistakes?.length, 1)
})

test('every mistake is named at once, a line each', () => {
  const { mistakes } = readConfig({ LOG_LEVEL: 'loud', TRUST_PROXY: 'maybe', RPC_SIGNALING_PORT: 'http', HOST: 'a ' })
  assert.deepEqual(mistakes?.map((line) => line.split(' ')[0]).sort(), [
    'HOST',
    'LOG_LEVEL',
    'RPC_SIGNALING_PORT',
    'TRUST_PROXY'
  ])
  for (const line of mistakes ?? []) assert.doesNotMatch(line, /\n/)
})

test('an empty text counts as unset', () => {
  const empty = Object.fromEntries(SETTINGS.flatMap(({ name }) => [name, `${name}_FILE`]).map((name) => [name, '']))
  assert.deepEqual(readConfig(empty).config, readConfig({}).config)
})

test('a wrong secret is named but not repeated', () => {
  const { mistakes } = readConfig({ DATABASE_URL: `mysql://relay:${PASSWORD}@db/relay` })
  assert.equal(mistakes?.length, 1)
  assert.match(
    mistakes[0]!,
    /^DATABASE_URL must be a connection string like postgres:\/\/USER:PASSWORD@HOST:5432\/DATABASE\.$/
  )
  assert.doesNotMatch(mistakes[0]!, /mysql|correct/)
})

test('a URL put into the wrong variable is not repeated either', () => {
  const { mistakes } = readConfig({ HEARTBEAT_SECONDS: `postgres://relay:${PASSWORD}@db/relay` })
  assert.doesNotMatch(mistakes?.join() ?? '', /correct/)
})

test('a secret may come from the file that its _FILE variable names, without the newline at its end', (t) => {
  const url = `postgres://relay:${PASSWORD}@db/relay`
  const { config } = readConfig({ DATABASE_URL_FILE: secretFile(t, `${url}\n`) })
  assert.equal(config?.DATABASE_URL, url)
})

test('every secret may come from a file', (t) => {
  const values: Record<string, string> = {
    DATABASE_URL: 'postgres://relay@db/relay',
    DEMOS_RPC_URL: 'https://rpc.example',
    DEMOS_RPC_KEY: '7f'.repeat(32),
    NATS_URL: 'nats://nats.example:4222',
    ADMIN_TOKEN: 'correct-horse-battery'
  }
  const secrets = SETTINGS.filter(({ secret }) => secret).map(({ name }) => name)
  assert.deepEqual(secrets.toSorted(), Object.keys(values).toSorted())
  const env = Object.fromEntries(secrets.map((name) => [`${name}_FILE`, secretFile(t, `${values[name]}\n`)]))
  const { config, warnings } = readConfig({
    ...env,
    CLUSTER_NAME: 'one',
    NODE_KEY_FILE: '/key',
    AUDIT_ORIGIN: 'relay.example'
  })
  assert.deepEqual(warnings, [])
  for (const name of secrets) assert.equal(config?.[name], values[name])
})

test('a secret given both ways is a mistake', (t) => {
  const path = secretFile(t, 'postgres://file/relay')
  const { mistakes } = readConfig({ DATABASE_URL_FILE: path, DATABASE_URL: 'postgres://variable/relay' })
  assert.deepEqual(mistakes, ['DATABASE_URL_FILE must not be set together with DATABASE_URL. Keep one of the two.'])
})

test('a secret file that is missing, a directory or empty is a mistake', (t) => {
  const path = secretFile(t, ' \n')
  assert.deepEqual(readConfig({ DATABASE_URL_FILE: path }).mistakes, ['DATABASE_URL_FILE names an empty file.'])
  const missing = readConfig({ DATABASE_URL_FILE: `${path}-missing` })
  assert.deepEqual(missing.mistakes, ['DATABASE_URL_FILE must name a readable file (ENOENT).'])
  const directory = readConfig({ DATABASE_URL_FILE: tmpdir() })
  assert.deepEqual(directory.mistakes, ['DATABASE_URL_FILE must name a readable file (EISDIR).'])
})

test('a secret file with a wrong value blames the file variable and does not repeat the value', (t) => {
  const { mistakes } = readConfig({ DATABASE_URL_FILE: secretFile(t, PASSWORD) })
  assert.match(mistakes?.[0] ?? '', /^DATABASE_URL_FILE must be a connection string like/)
  assert.doesNotMatch(mistakes?.[0] ?? '', /correct/)
})

test('only secrets may come from a file', (t) => {
  const { config } = readConfig({ HOST_FILE: secretFile(t, '0.0.0.0') })
  assert.equal(config?.HOST, '127.0.0.1')
})

test('RPC_SIGNALING_PORT beats SIGNALING_SERVER_PORT, even as 0', () => {
  const port = (env: Record<string, string>) => signalingPort(readConfig(env).config!)
  assert.equal(port({}), 3005)
  assert.equal(port({ SIGNALING_SERVER_PORT: '4000' }), 4000)
  assert.equal(port({ SIGNALING_SERVER_PORT: '4000', RPC_SIGNALING_PORT: '5000' }), 5000)
  assert.equal(port({ SIGNALING_SERVER_PORT: '4000', RPC_SIGNALING_PORT: '0' }), 0)
})

test('whatever the environment holds, the answer is a fitting configuration or a list of mistakes', () => {
  const names = fc.constantFrom(...SETTINGS.map(({ name }) => name as string))
  const texts = fc.oneof(
    fc.string(),
    fc.constantFrom('https://a.example', '10.0.0.0/8'),
    fc.integer().map(String),
    fc.constantFrom('true', '0', 'info', 'postgres://db/x')
  )
  fc.assert(
    fc.property(fc.dictionary(names, texts), (env) => {
      const { config, mistakes } = readConfig(env)
      assert.ok(config === undefined ? mistakes.length > 0 : Value.Check(ConfigSchema, config))
    })
  )
})

test('a certificate without its key is a mistake, and a key without its certificate', () => {
  const mistakes = ['TLS_CERT_FILE and TLS_KEY_FILE must be set together.']
  assert.deepEqual(readConfig({ TLS_CERT_FILE: '/run/tls/cert.pem' }).mistakes, mistakes)
  assert.deepEqual(readConfig({ TLS_KEY_FILE: '/run/tls/key.pem' }).mistakes, mistakes)
  assert.ok(readConfig({ TLS_CERT_FILE: '/run/tls/cert.pem', TLS_KEY_FILE: '/run/tls/key.pem' }).config)
})

test('the variables that Kubernetes gives for every service stop nothing', () => {
  const env = {
    ...{ SIGNALING_SERVER_PORT: 'tcp://10.0.0.1:80', RPC_SIGNALING_PORT: 'tcp://10.0.0.1:80', PGPORT: '1' },
    ...{ SIGNALING_SERVER_SERVICE_HOST: '10.0.0.1', SIGNALING_SERVER_PORT_80_TCP: 'tcp://10.0.0.1:80' },
    ...{ L2PS_MESSAGING_PORT: 'tcp://10.0.0.1:80', SSL_CERT_FILE: '/etc/ssl/cert.pem', SSL_CERT_DIR: '/etc/ssl' }
  }
  const { config, warnings } = readConfig(env)
  assert.deepEqual([signalingPort(config!), config?.L2PS_MESSAGING_PORT], [3005, 3006])
  assert.deepEqual(
    warnings.map((line) => line.split(':')[0]),
    ['RPC_SIGNALING_PORT is ignored', 'SIGNALING_SERVER_PORT is ignored', 'L2PS_MESSAGING_PORT is ignored']
  )
})

test('an L2PS port that is none counts as unset, as in the Demos node', () => {
  for (const text of ['http', '65536', '-1', '3.5']) {
    const { config, warnings } = readConfig({ L2PS_MESSAGING_PORT: text })
    assert.equal(config?.L2PS_MESSAGING_PORT, 3006)
    assert.equal(warnings.length, 1)
  }
})

test('a connection string from a file is read anew each time it is asked for', (t) => {
  const path = secretFile(t, 'postgres://relay:first@db/relay\n')
  const read = databaseUrl(readConfig({ DATABASE_URL_FILE: path }).config!) as () => string
  assert.equal(read(), 'postgres://relay:first@db/relay')
  writeFileSync(path, 'postgres://relay:second@db/relay\n')
  assert.equal(read(), 'postgres://relay:second@db/relay')
  assert.equal(databaseUrl(readConfig({}).config!), undefined)
})

test('what a setting must be is said in words', () => {
  const wrong = SETTINGS.map(({ name }) => readConfig({ [name]: ' ~' }).mistakes?.[0] ?? '')
  for (const line of wrong) assert.doesNotMatch(line, /matches|[\^$\\]|\{\d/, line)
})
