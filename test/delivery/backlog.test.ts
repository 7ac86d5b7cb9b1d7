import { test } from 'node:test'
import { drains } from './backlog.ts'

test('40,000 messages for one peer arrive in order, read page by page, in a small heap', (t) => drains(t, 40_000))
