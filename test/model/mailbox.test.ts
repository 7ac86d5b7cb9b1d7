import { test } from 'node:test'
import { agrees } from './agrees.ts'

test('a mailbox does what its model does, whatever happens in whatever order', (t) =>
  agrees(t, { sequences: 20, ms: 12_000 }))
