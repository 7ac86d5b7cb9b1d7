// A process of attackers: `attacker.ts URL ATTACK`. It goes on until it is killed, and says what became of its sockets.
import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { quickIdentity, registerFrame } from '../helpers/peer.ts'
import { ATTACKS, type Attack } from './attacks.ts'

/** Rest of an attacker whose socket was closed or refused, in ms. */
const AGAIN_MS = 20

const [url, name] = process.argv.slice(2) as [string, string]
const attack = ATTACKS[name]!
const seen = { closed: {} as Record<string, number>, told: 0 }

process.on('uncaughtException', () => {}) // sockets that break off in the middle of a write
process.on('message', () => process.send?.(seen))
process.send?.('started')
for (let n = 0; n < attack.sockets; n++) void assault(n, attack)

async function assault(n: number, { addresses, bytes }: Attack): Promise<never> {
  const chunk = await bytes(n)
  const localAddress = `127.0.${1 + (n % addresses)}.2`
  for (let round = 0; ; round++) {
    const ended = await once(chunk, localAddress, `${process.pid}-${n}-${round}`)
    seen.closed[ended] = (seen.closed[ended] ?? 0) + 1
    await delay(AGAIN_MS)
  }
}

/** One socket until its end; resolves with the close code, or what the upgrade was answered with. */
function once(chunk: Buffer, localAddress: string, id: string): Promise<string> {
  return new Promise((resolve) => {
    const ws = new WebSocket(url, { perMessageDeflate: false, localAddress })
    ws.on('unexpected-response', (_request, response) => {
      response.resume()
      resolve(`HTTP ${response.statusCode}`)
    })
    ws.on('error', () => {})
    ws.on('close', (code) => resolve(String(code)))
    ws.on('message', (data) => {
      if (String(data).includes('asks for more than it may')) seen.told += 1
    })
    ws.once('open', () => void flood(ws, chunk, id))
  })
}

async function flood(ws: WebSocket, chunk: Buffer, id: string): Promise<void> {
  const stream = (ws as unknown as { _socket: NodeJS.WritableStream & { writableLength: number } })._socket
  if (attack.registers) {
    const frame = await registerFrame(`siege-${id}`, await quickIdentity())
    await new Promise<void>((resolve) => {
      ws.once('message', () => resolve())
      ws.send(JSON.stringify(frame))
    })
  }
  if (!attack.reads) ws.pause()
  do {
    const goesOn = stream.write(chunk)
    if (!goesOn) await new Promise((resolve) => stream.once('drain', resolve))
    else await delay(0)
  } while (!attack.once && ws.readyState === ws.OPEN)
}
