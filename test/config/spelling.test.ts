import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../src/config/read.ts'
import { editDistance } from '../../src/util/words.ts'

test('the edit distance counts letters put in, left out, replaced and swapped', () => {
  const cases: [string, string, number][] = [
    ['LOG_LEVEL', 'LOG_LEVEL', 0],
    ['LOG_LEVL', 'LOG_LEVEL', 1],
    ['LOG_LEVELS', 'LOG_LEVEL', 1],
    ['LOG-LEVEL', 'LOG_LEVEL', 1],
    ['LGO_LEVEL', 'LOG_LEVEL', 1],
    ['LGO_LEVLE', 'LOG_LEVEL', 2],
    ['', 'AB', 2]
  ]
  for (const [one, other, distance] of cases) {
    assert.equal(editDistance(one, other), distance, `${one} ${other}`)
    assert.equal(editDistance(other, one), distance, `${other} ${one}`)
  }
})

test('a variable that is nearly one of ours is reported, and does not stop the start', () => {
  const slips = { LOGLEVEL: 'x', DATABASE_URI: 'x', RPC_SIGNALLING_PROT: 'x', trust_proxy: 'x', DATABASE_URL_FLIE: 'x' }
  const { config, warnings } = readConfig(slips)
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
