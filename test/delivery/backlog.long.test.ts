import { test } from 'node:test'
import { drains } from './backlog.ts'

test('100,000 messages for one peer arrive in order, read page by page, in a small heap', (t) => drains(t, 100_000))
