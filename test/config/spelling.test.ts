import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../src/config/read.ts'

test('a variable that looks like a misspelled setting is reported, and does not stop the start', () => {
  const misspelled = {
    LOGLEVEL: 'x',
    DATABASE_URI: 'x',
    RPC_SIGNALLING_PROT: 'x',
    trust_proxy: 'x',
    DATABASE_URL_FLIE: 'x'
  }
  const { config, warnings } = readConfig(misspelled)
  assert.ok(config)
  assert.deepEqual(warnings, [
    'LOGLEVEL is not a setting and is ignored. Did you mean LOG_LEVEL?',
    'DATABASE_URI is not a setting and is ignored. Did you mean DATABASE_URL?',
    'RPC_SIGNALLING_PROT is not a setting and is ignored. Did you mean RPC_SIGNALING_PORT?',
    'trust_proxy is not a setting and is ignored. Did you mean TRUST_PROXY?',
    'DATABASE_URL_FLIE is not a setting and is ignored. Did you mean DATABASE_URL_FILE?'
  ])
})

test('the variables of other programs are left alone', () => {
  const others = [
    'HOME',
    'HOSTNAME',
    'PORT',
    'PATH',
    'POSTGRES_PASSWORD_FILE',
    'NODE_ENV',
    'npm_config_loglevel',
    'LOGNAME'
  ]
  assert.deepEqual(readConfig(Object.fromEntries(others.map((name) => [name, 'x']))).warnings, [])
})
