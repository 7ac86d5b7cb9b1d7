import assert from 'node:assert/strict'
import { test } from 'node:test'
import { originsIn } from '../../src/config/origins.ts'
import { readConfig } from '../../src/config/read.ts'

test('origins are taken as browsers spell them: lower case, without the port of the scheme', () => {
  const origins = originsIn(
    'HTTPS://App.Example , https://app.example:443,http://localhost:8080 , capacitor://localhost'
  )
  assert.deepEqual([...origins!], ['https://app.example', 'http://localhost:8080', 'capacitor://localhost'])
})

test('a value that is no origin is a mistake, at any place in the list', () => {
  for (const wrong of [
    ...[
      'app.example',
      '*',
      'https://*.example',
      'null',
      'https://',
      'https://app.example/',
      'https://app.example/chat'
    ],
    ...['https://app.example?x', 'https://me@app.example', 'https://app.example:99999', 'https://app example', '']
  ]) {
    for (const list of [wrong, `https://app.example,${wrong}`, `${wrong},https://app.example`]) {
      if (list === '') continue // unset
      const { mistakes } = readConfig({ ALLOWED_ORIGINS: list })
      assert.equal(mistakes?.length, 1, list)
      assert.match(mistakes[0]!, /^ALLOWED_ORIGINS must be origins like https:\/\/app\.example or .*, without a path/)
    }
  }
})
