// Who exchanged messages with whom: bounded for a peer and for all.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Contacts, MAX_CONTACTS } from '../../src/presence/contacts.ts'

const of = (contacts: Contacts, peer: string, network = 'n') => [...contacts.of(network, peer)]

test('either end of a message is a contact of the other, in its network alone', () => {
  const contacts = new Contacts()
  contacts.met('n', 'ann', 'ben')
  contacts.met('n', 'cat', 'ann')
  contacts.met('n', 'ann', 'ben')
  assert.deepEqual(of(contacts, 'ann'), ['cat', 'ben'])
  assert.deepEqual(of(contacts, 'ben'), ['ann'])
  assert.deepEqual([of(contacts, 'dan'), of(contacts, 'ann', 'other')], [[], []])
  assert.equal(contacts.pairs, 4)
})

test('a message to oneself makes a contact of oneself', () => {
  const contacts = new Contacts()
  contacts.met('n', 'ann', 'ann')
  assert.deepEqual([of(contacts, 'ann'), contacts.pairs], [['ann'], 1])
})

test('of more than 256 contacts of a peer the longest unused is forgotten', () => {
  const contacts = new Contacts()
  for (let n = 0; n < MAX_CONTACTS; n++) contacts.met('n', 'ann', `p${n}`)
  contacts.met('n', 'p0', 'ann')
  contacts.met('n', 'ann', 'new')
  const known = of(contacts, 'ann')
  assert.equal(known.length, MAX_CONTACTS)
  assert.deepEqual([known.includes('p0'), known.includes('p1'), known.at(-1)], [true, false, 'new'])
  assert.deepEqual(of(contacts, 'p1'), ['ann'], 'who is forgotten still tells')
})

test('past the bound of all contacts, peers that exchanged nothing lately are forgotten', () => {
  const contacts = new Contacts(20)
  for (let n = 0; n < 500; n++) {
    contacts.met('n', `a${n}`, `b${n}`)
    contacts.met('n', 'ann', 'ben')
    assert.ok(contacts.pairs <= 20, `${contacts.pairs} pairs`)
  }
  assert.deepEqual([of(contacts, 'ann'), of(contacts, 'ben')], [['ben'], ['ann']])
  assert.deepEqual([of(contacts, 'a0'), of(contacts, 'a499')], [[], ['b499']])
})

test('past the bound of peers too, in whatever network', () => {
  const contacts = new Contacts(1_000, 10)
  for (let n = 0; n < 500; n++) contacts.met(`n${n}`, 'ann', 'ben')
  const left = Array.from({ length: 500 }, (_, n) => of(contacts, 'ann', `n${n}`).length).filter((count) => count > 0)
  assert.ok(contacts.pairs <= 10 && left.length <= 10 && left.length > 0, `${left.length} of ${contacts.pairs}`)
})
