// A process of attackers: `attacker.ts URL ATTACK`. It goes on until it is killed, and says what became of its sockets.
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { type Attack, type Attacker, identityOf, registrationOf } from './attack.ts'
import { SIEGE } from './attacks.ts'

/** Rest of an attacker whose socket was closed or refused, in ms. */
const AGAIN_MS = 20

/** What a socket is written to, and what says that it is open. */
interface Line {
  readonly stream: NodeJS.WritableStream
  isOpen(): boolean
}

const [url, name] = process.argv.slice(2) as [string, string]
const seen = { closed: {} as Record<string, number>, told: 0 }
let sockets = 0

process.on('uncaughtException', () => {}) // sockets that break off in the middle of a write
process.on('message', () => process.send?.(seen))
process.send?.('started')
for (const attack of SIEGE[name]!) {
  for (let n = 0; n < attack.sockets; n++) void assault(sockets++, attack)
}

async function assault(n: number, attack: Attack): Promise<never> {
  const localAddress = `127.0.${1 + (n % attack.addresses)}.2`
  const identity = await identityOf(n)
  for (let round = 0; ; round++) {
    const attacker = { n, id: `siege-${process.pid}-${n}-${round}`, identity, origin: url }
    const ended = await (attack.protocol === 'tcp' ? connection : webSocket)(attack, attacker, localAddress)
    seen.closed[ended] = (seen.closed[ended] ?? 0) + 1
    await delay(AGAIN_MS)
  }
}

/** One socket until its end; resolves with the close code, or what the upgrade was answered with. */
function webSocket(attack: Attack, attacker: Attacker, localAddress: string): Promise<string> {
  return new Promise((resolve) => {
    const ws = new WebSocket(`${url}/${attack.protocol}`, { perMessageDeflate: false, localAddress })
    ws.on('unexpected-response', (_request, response) => {
      response.resume()
      resolve(`HTTP ${response.statusCode}`)
    })
    ws.on('error', () => {})
    ws.on('close', (code) => resolve(String(code)))
    ws.on('message', (data) => {
      if (String(data).includes('asks for more than it may')) seen.told += 1
    })
    ws.once('open', async () => {
      if (attack.registers) await register(ws, attack, attacker)
      if (attack.leaves) return ws.close()
      if (!attack.reads) ws.pause()
      const { _socket: stream } = ws as unknown as { _socket: NodeJS.WritableStream }
      await flood({ stream, isOpen: () => ws.readyState === ws.OPEN }, attack, attacker)
    })
  })
}

/** One connection without a WebSocket until its end; resolves with how it ended. */
function connection(attack: Attack, attacker: Attacker, localAddress: string): Promise<string> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port), localAddress })
    socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(String(code)))
    socket.on('close', () => resolve('ended'))
    socket.once('connect', () => {
      if (attack.reads) socket.resume()
      if (attack.leaves) socket.destroy()
      else void flood({ stream: socket, isOpen: () => socket.writable }, attack, attacker)
    })
  })
}

async function register(ws: WebSocket, attack: Attack, attacker: Attacker): Promise<void> {
  const frame = await registrationOf(attack, attacker)
  await new Promise<void>((resolve) => {
    ws.once('message', () => resolve())
    ws.send(JSON.stringify(frame))
  })
}

async function flood({ stream, isOpen }: Line, attack: Attack, attacker: Attacker): Promise<void> {
  const write = async (bytes: Buffer) => {
    const goesOn = stream.write(bytes)
    if (!goesOn) await new Promise((resolve) => stream.once('drain', resolve))
    else await delay(0)
  }
  if (attack.first !== undefined) await write(await attack.first(attacker))
  let bytes = await attack.bytes(attacker)
  do {
    await write(bytes)
    if (attack.isFresh) bytes = await attack.bytes(attacker)
  } while (!attack.once && isOpen())
}
