import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Acceptors } from '../../src/http/acceptors.ts'
import { until } from '../helpers/wait.ts'

/** A listener whose turns are long, and how many connections each of them accepted. */
async function busyListener(t: TestContext) {
  const sockets: Socket[] = []
  let accepted = 0
  const inTurns: number[] = []
  const listener = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
    accepted += 1
  })
  listener.listen(0, '127.0.0.1', 1_000)
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const acceptors = new Acceptors(listener)
  let isBusy = true
  const turn = () => {
    inTurns.push(accepted)
    accepted = 0
    for (const end = performance.now() + 2; performance.now() < end; );
    if (isBusy) setImmediate(turn)
  }
  setImmediate(turn)
  const clients: Socket[] = []
  const storm = (count: number) => {
    for (let n = 0; n < count; n++) clients.push(connect(port, '127.0.0.1').on('error', () => {}))
  }
  t.after(() => {
    isBusy = false
    acceptors.close()
    for (const socket of [...sockets, ...clients]) socket.destroy()
    listener.close()
  })
  return { listener, port, acceptors, storm, sockets, inTurns }
}

test('a storm of connections is accepted several in a turn of the event loop', async (t) => {
  const { acceptors, storm, sockets, inTurns } = await busyListener(t)
  storm(50)
  await until('50 are accepted', () => sockets.length === 50)
  assert.equal(Math.max(...inTurns), 1, 'as Node.js does it')
  acceptors.start()
  await until('there are more acceptors', () => acceptors.atOnce === 8)
  storm(200)
  await until('250 are accepted', () => sockets.length === 250)
  assert.ok(Math.max(...inTurns) > 1, 'more than one in a turn')
  for (const { allowHalfOpen } of sockets) assert.equal(allowHalfOpen, true, 'set up as the listener says')
})

test('once it is closed, the port is nobody’s when the listener closes too', async (t) => {
  const { listener, port, acceptors } = await busyListener(t)
  acceptors.start()
  await until('there are more acceptors', () => acceptors.atOnce === 8)
  acceptors.close()
  listener.close()
  await until(
    'the port is closed',
    () =>
      new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1')
        socket.on('connect', () => resolve(socket.destroy() === undefined))
        socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'))
      })
  )
})
