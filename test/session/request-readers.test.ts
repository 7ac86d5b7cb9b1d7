// What HTTP connections pay for.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import { Accounts } from '../../src/limits/accounts.ts'
import { RequestReaders } from '../../src/session/request-readers.ts'
import { Turns } from '../../src/session/turns.ts'
import { atEnd } from '../helpers/at-end.ts'
import { until } from '../helpers/wait.ts'

const LARGE = 20_000_000

test('an answer is paid for when it is handed over, also where nobody reads it', async (t) => {
  const accounts = new Accounts({ socket: 0, address: 0, identity: 0, network: 0 })
  let closed = 0
  const server = createServer((_request, response) => {
    response.on('close', () => {
      closed += 1
    })
    response.end(Buffer.alloc(LARGE))
  })
  new RequestReaders(accounts, new Turns()).watch(server, 'connection')
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  atEnd(t, () => {
    client.destroy()
    server.close()
  })
  client.pause()
  client.write('GET / HTTP/1.1\r\nHost: relay\r\n\r\n')
  await until('its address is noisy', () => accounts.requestMeter('127.0.0.1').rank === 'noisy')
  assert.equal(closed, 0)
})
