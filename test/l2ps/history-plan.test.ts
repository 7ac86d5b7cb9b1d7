import { test } from 'node:test'
import { readsByIndex } from './history-plan.ts'

test('a page of a conversation is read by index, with 20,000 messages beside it', (t) => readsByIndex(t, 20_000))
