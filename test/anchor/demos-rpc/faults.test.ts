import { test } from 'node:test'
import { anchorsOnce } from './faults.ts'

test('checkpoints under random faults, on a chain that counts nonces: each anchored exactly once', (t) =>
  anchorsOnce(t, true, 60))
test('checkpoints under random faults, on a chain that does not: each anchored exactly once', (t) =>
  anchorsOnce(t, false, 20))
