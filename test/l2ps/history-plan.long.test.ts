import { test } from 'node:test'
import { readsByIndex } from './history-plan.ts'

test('a page of a conversation is read by index, with a million messages beside it', (t) => readsByIndex(t, 1_000_000))
