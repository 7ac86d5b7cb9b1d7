import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Endpoint } from './driver.ts'
import { ConnectionLost } from './postgres-socket.ts'

const CONNECT_LIMIT_MS = 5_000
/** PostgreSQL protocol, SSLRequest: length 8, code 80877103. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

/** Connects, with TLS where the connection string wants it. With several hosts, `attempt` says which one's turn it is. */
export async function openSocket(endpoint: Endpoint, attempt: number): Promise<Socket> {
  const turn = attempt % endpoint.host.length
  const host = endpoint.host[turn] ?? 'localhost'
  const port = Number(endpoint.port[turn] ?? endpoint.port[0])
  const socket = endpoint.path ? connect(endpoint.path) : connect(port, host)
  const slow = () => socket.destroy(new ConnectionLost('Postgres did not answer the attempt to connect'))
  const timer = setTimeout(slow, CONNECT_LIMIT_MS)
  try {
    await once(socket, 'connect')
    return endpoint.ssl ? await secured(socket, endpoint.ssl, host) : socket
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** sslmode as postgres.js understands it: `verify-full` checks the certificate, `require` and `prefer` do not. */
async function secured(socket: Socket, ssl: unknown, host: string): Promise<Socket> {
  socket.write(SSL_REQUEST)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  if (answer.toString() !== 'S') {
    if (ssl === 'prefer' && answer.toString() === 'N') return socket
    throw new Error('Postgres does not offer TLS, which the sslmode of the connection string demands')
  }
  const unchecked = ssl === 'require' || ssl === 'allow' || ssl === 'prefer'
  const secure = connectTls({
    socket,
    ...(isIP(host) ? {} : { servername: host }),
    ...(unchecked ? { rejectUnauthorized: false } : typeof ssl === 'object' ? ssl : {})
  })
  await once(secure, 'secureConnect')
  return secure
}
