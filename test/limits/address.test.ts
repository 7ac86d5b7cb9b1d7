import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressKey } from '../../src/limits/address.ts'

test('every spelling of an address is the same for limits, and an IPv6 address is its /64', () => {
  const same: Record<string, string[]> = {
    '192.0.2.7': ['192.0.2.7', '::ffff:192.0.2.7', '::FFFF:c000:207', '0:0:0:0:0:ffff:c000:0207', '[::ffff:192.0.2.7]'],
    '2001:db8:0:1::/64': [
      '2001:db8:0:1::',
      '2001:DB8:0:1:ffff::1',
      '2001:0db8:0000:0001:1:2:3:4',
      '2001:db8::1:5:6:7:8'
    ],
    '0:0:0:0::/64': ['::1', '0:0:0:0:0:0:0:1'],
    'fe80:0:0:0::/64': ['fe80::1%eth0', 'fe80::2'],
    unknown: ['']
  }
  for (const [key, spellings] of Object.entries(same)) {
    for (const spelling of spellings) assert.equal(addressKey(spelling), key, spelling)
  }
  assert.equal(addressKey(undefined), 'unknown')
  assert.notEqual(addressKey('2001:db8:0:1::'), addressKey('2001:db8:0:2::'))
})
