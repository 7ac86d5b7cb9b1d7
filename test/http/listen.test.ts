import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import { ListenError, listenOnNextFreePort } from '../../src/http/listener.ts'

const HOST = '127.0.0.1'

function failure(code: string): Error {
  return Object.assign(new Error(`listen ${code}`), { code })
}

/** A listen function that finds the given ports taken and remembers what it was asked. */
function streetWith(...taken: number[]) {
  const asked: number[] = []
  const listen = async (port: number) => {
    asked.push(port)
    if (taken.includes(port)) throw failure('EADDRINUSE')
  }
  return { asked, listen }
}

async function occupy(t: TestContext, port = 0): Promise<{ server: Server; port: number }> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, HOST, resolve))
  t.after(() => server.close())
  return { server, port: (server.address() as { port: number }).port }
}

test('a free port is taken as asked', async () => {
  const street = streetWith()
  assert.equal(await listenOnNextFreePort(street.listen, 3005), 3005)
  assert.deepEqual(street.asked, [3005])
})

test('taken ports are passed by, in order', async () => {
  const street = streetWith(3005, 3006)
  assert.equal(await listenOnNextFreePort(street.listen, 3005), 3007)
  assert.deepEqual(street.asked, [3005, 3006, 3007])
})

test('port 0 asks the system once', async () => {
  const street = streetWith(0)
  await assert.rejects(
    listenOnNextFreePort(street.listen, 0, 100, HOST),
    /^ListenError: Cannot listen on 127.0.0.1: no port is free/
  )
  assert.deepEqual(street.asked, [0])
})

test('when every try is taken, the error names the range', async () => {
  const street = streetWith(3005, 3006, 3007)
  const expected = {
    name: 'ListenError',
    message: 'Cannot listen on 127.0.0.1: every port from 3005 to 3007 is taken.'
  }
  await assert.rejects(listenOnNextFreePort(street.listen, 3005, 3, HOST), expected)
})

test('no port past the last one is tried', async () => {
  const street = streetWith(65_534, 65_535)
  await assert.rejects(listenOnNextFreePort(street.listen, 65_534), /every port from 65534 to 65535 is taken/)
  assert.deepEqual(street.asked, [65_534, 65_535])
})

test('a refusal that another port would not mend is told at once, with what to change', async () => {
  const cases: [string, RegExp][] = [
    ['EACCES', /^Cannot listen on 127\.0\.0\.1, port 80: not permitted.*higher one\. \(EACCES\)$/],
    ['EADDRNOTAVAIL', /no such address\. Check HOST\./],
    ['ENOTFOUND', /that name has no address/],
    ['EMFILE', /listen EMFILE \(EMFILE\)$/]
  ]
  for (const [code, message] of cases) {
    let tries = 0
    const listen = async () => {
      tries += 1
      throw failure(code)
    }
    await assert.rejects(listenOnNextFreePort(listen, 80, 100, HOST), (error: Error) => {
      assert.ok(error instanceof ListenError)
      assert.match(error.message, message)
      assert.equal((error.cause as { code: string }).code, code)
      return true
    })
    assert.equal(tries, 1)
  }
})

test('a real server passes by a port that is really taken', async (t) => {
  const neighbour = await occupy(t)
  const app = Fastify()
  t.after(() => app.close())
  const port = await listenOnNextFreePort((port) => app.listen({ port, host: HOST }), neighbour.port, 100, HOST)
  assert.ok(port > neighbour.port)
  assert.equal(app.addresses().length, 1)
  assert.equal(app.listeningOrigin, `http://${HOST}:${port}`)
})

test('an address that is not of this machine is refused with a hint', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  const listen = (port: number) => app.listen({ port, host: '192.0.2.1' })
  await assert.rejects(listenOnNextFreePort(listen, 0, 100, '192.0.2.1'), /Check HOST/)
})
