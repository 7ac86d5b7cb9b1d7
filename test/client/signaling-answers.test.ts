import assert from 'node:assert/strict'
import { test } from 'node:test'
import { localError } from '../../client/src/frame.ts'
import { SignalingAnswers } from '../../client/src/signaling-answers.ts'

function createAnswers(timeoutMs = 1_000) {
  const told: string[] = []
  const answers = new SignalingAnswers(timeoutMs, {
    onQueued: ({ targetId, messageId }) => told.push(`queued ${targetId} ${messageId}`),
    onError: ({ details }, message) => told.push(`error ${details} ${message?.messageId}`),
    onAmbiguousError: () => told.push('ambiguous')
  })
  const ask = (answer: string, peerId?: string) =>
    answers.request(answer, peerId).then(
      (payload) => `${answer} ${payload.n ?? payload.peerId}`,
      (error) => `refused ${error.details}`
    )
  const hear = (type: string, payload: Record<string, unknown> = {}) => answers.take({ type, payload })
  const error = (details: string) => hear('error', { errorType: 'INTERNAL_ERROR', details })
  const key = (peerId: string) => hear('public_key_response', { peerId })
  return { answers, told, ask, hear, error, key }
}

test('answers of one type go to the requests in order, keys to the peer they name', async () => {
  const { ask, hear, key } = createAnswers()
  const asked = [ask('discover'), ask('discover'), ask('public_key_response', 'a'), ask('public_key_response', 'b')]
  key('b')
  hear('discover', { n: 1 })
  key('a')
  hear('discover', { n: 2 })
  const expected = ['discover 1', 'discover 2', 'public_key_response a', 'public_key_response b']
  assert.deepEqual(await Promise.all(asked), expected)
})

test('an error refuses the oldest request', async () => {
  const { ask, hear, error, told } = createAnswers()
  const asked = [ask('public_key_response', 'a'), ask('discover'), ask('server_question')]
  error('no such peer')
  hear('discover', { n: 1 })
  error('no question')
  assert.deepEqual(await Promise.all(asked), ['refused no such peer', 'discover 1', 'refused no question'])
  assert.deepEqual(told, [])
})

test('an error after a lone message is about that message', () => {
  const { answers, error, told } = createAnswers()
  answers.sent('m1', 'bob')
  error('quota')
  error('out of the blue')
  assert.deepEqual(told, ['error quota m1', 'error out of the blue undefined'])
})

test('an error that may be about a message or a request waits for the next answer', async () => {
  for (const refused of ['message', 'request']) {
    const { answers, ask, hear, error, told, key } = createAnswers()
    answers.sent('m1', 'bob')
    const asked = [ask('public_key_response', 'bob'), ask('discover')]
    error('x')
    assert.deepEqual(told, ['ambiguous'])
    if (refused === 'message') key('bob')
    hear('discover', { n: 1 })
    const isMessage = refused === 'message'
    assert.deepEqual(await Promise.all(asked), [isMessage ? 'public_key_response bob' : 'refused x', 'discover 1'])
    assert.deepEqual(told, isMessage ? ['ambiguous', 'error x m1'] : ['ambiguous'])
  }
})

test('several held errors are assigned by the requests that were answered', async () => {
  const { answers, ask, error, told, key } = createAnswers()
  answers.sent('m1', 'bob')
  const asked = [ask('public_key_response', 'a'), ask('public_key_response', 'b')]
  error('about m1')
  error('about a')
  key('b')
  assert.deepEqual(await Promise.all(asked), ['refused about a', 'public_key_response b'])
  assert.deepEqual(told, ['ambiguous', 'error about m1 m1'])
})

test('an error about one of several messages is reported without a message id', async () => {
  const { answers, ask, hear, error, told } = createAnswers()
  answers.sent('m1', 'bob')
  answers.sent('m2', 'carol')
  error('quota')
  assert.deepEqual(told, ['error quota undefined'])
  const asked = ask('discover')
  hear('discover', { n: 1 })
  assert.equal(await asked, 'discover 1')
})

test('an answered request settles the messages before it', async () => {
  const { answers, ask, hear, error, told } = createAnswers()
  answers.sent('m1', 'bob')
  const first = ask('discover')
  hear('discover', { n: 1 })
  await first
  const second = ask('public_key_response', 'x')
  error('unknown')
  assert.equal(await second, 'refused unknown')
  hear('message_queued', { targetId: 'bob' })
  assert.deepEqual(told, ['queued bob undefined'])
})

test('queued names the oldest unsettled message to that recipient', () => {
  const { answers, hear, error, told } = createAnswers()
  for (const [id, target] of [
    ['m1', 'bob'],
    ['m2', 'carol'],
    ['m3', 'bob'],
    ['m4', 'carol']
  ] as const) {
    answers.sent(id, target)
  }
  hear('message_queued', { targetId: 'carol' }) // so m1 went to bob live
  hear('message_queued', { targetId: 'bob' })
  error('quota')
  assert.deepEqual(told, ['queued carol m2', 'queued bob m3', 'error quota m4'])
})

test('the late answer to a request that timed out is not taken for the answer to the next one', async () => {
  const { ask, hear, error, told } = createAnswers(20)
  assert.equal(await ask('discover'), 'refused no discover within 20 ms')
  const second = ask('discover')
  hear('discover', { n: 'late' })
  hear('discover', { n: 'in time' })
  assert.equal(await second, 'discover in time')
  await ask('server_question')
  const third = ask('discover')
  error('late refusal')
  hear('discover', { n: 3 })
  assert.equal(await third, 'discover 3')
  assert.deepEqual(told, ['error late refusal undefined'])
})

test('a lost connection fails the pending requests only', async () => {
  const { answers, ask, hear, told } = createAnswers()
  answers.sent('m1', 'bob')
  const asked = [ask('discover'), ask('public_key_response', 'bob')]
  answers.abandon(localError('NOT_CONNECTED', 'lost'))
  assert.deepEqual(await Promise.all(asked), ['refused lost', 'refused lost'])
  hear('discover', { n: 0 })
  const next = ask('discover')
  hear('discover', { n: 1 })
  assert.equal(await next, 'discover 1')
  assert.deepEqual(told, [])
})

test('of a hundred thousand live messages only the last are remembered, at little cost', () => {
  const { answers, hear, told } = createAnswers()
  const started = Date.now()
  for (let i = 0; i < 100_000; i++) answers.sent(`m${i}`, 'bob')
  hear('message_queued', { targetId: 'bob' })
  assert.ok(Number(told[0]!.split('m')[1]) > 97_000)
  assert.ok(Date.now() - started < 2_000)
})
