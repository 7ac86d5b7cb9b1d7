// Debian's proxies, started with the very files of deploy/ in front of a server under test.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createSigner } from '../../client/src/identity.ts'
import { freePort } from '../../src/database/embedded/embedded-postgres.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import type { Peer } from '../helpers/peer.ts'
import { findProgram } from '../helpers/programs.ts'
import type { TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

/** The same identity in every process that knows the seed of 32 bytes, in hex. */
export async function seededIdentity(seed: string): Promise<Peer['identity']> {
  const signer = await createSigner('ed25519', Buffer.from(seed, 'hex'))
  return { ...signer, publicKey: new Uint8Array(36), secretKey: new Uint8Array() }
}

export interface RunningProxy {
  /** The door for everybody, as wss://127.0.0.1:port. */
  readonly url: string
  /** The door for L2PS clients that know no path. */
  readonly l2psListener: string
  /** The authority that makes its certificate good. */
  readonly ca: string
}

interface Stage {
  readonly directory: string
  readonly ports: readonly [door: number, l2psListener: number]
  readonly upstreams: readonly [signaling: string, l2ps: string]
  readonly certFile: string
  readonly keyFile: string
}

export const PROXIES = {
  nginx: startedWith(async ({ directory, ports, upstreams, certFile, keyFile }) => {
    const text = await readFile(packageFile('deploy/nginx.conf'), 'utf8')
    const yours = [
      ['/run/nginx.pid', join(directory, 'nginx.pid')],
      ['127.0.0.1:3005', upstreams[0]],
      ['127.0.0.1:3006', upstreams[1]],
      ['/etc/ssl/relay/cert.pem', certFile],
      ['/etc/ssl/relay/key.pem', keyFile],
      ['listen 443', `listen 127.0.0.1:${ports[0]}`],
      ['listen 8443', `listen 127.0.0.1:${ports[1]}`]
    ] as const
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    const places = temporary.map((kind) => `  ${kind}_temp_path ${join(directory, kind)};\n`).join('')
    const file = join(directory, 'nginx.conf')
    await writeFile(file, yours.reduce(changeYours, text).replace('http {\n', `http {\n${places}`))
    return spawn(findProgram('nginx')!, ['-c', file, '-e', 'stderr', '-g', 'daemon off;'], { stdio })
  }),

  haproxy: startedWith(async ({ directory, ports, upstreams, certFile, keyFile }) => {
    const certificate = join(directory, 'relay.pem')
    await writeFile(certificate, (await readFile(certFile, 'utf8')) + (await readFile(keyFile, 'utf8')))
    const env = {
      ...process.env,
      RELAY_SIGNALING: upstreams[0],
      RELAY_L2PS: upstreams[1],
      RELAY_BIND: `127.0.0.1:${ports[0]}`,
      RELAY_L2PS_BIND: `127.0.0.1:${ports[1]}`,
      RELAY_CERTIFICATE: certificate
    }
    return spawn(findProgram('haproxy')!, ['-db', '-f', packageFile('deploy/haproxy.cfg')], { env, stdio })
  })
}

const stdio: ['ignore', 'inherit', 'pipe'] = ['ignore', 'inherit', 'pipe']

/** Replaces a value in the one line that has it and ends in "# yours". */
function changeYours(text: string, [from, to]: readonly [string, string]): string {
  const lines = text.split('\n')
  const found = lines.flatMap((line, at) => (line.endsWith('# yours') && line.includes(from) ? [at] : []))
  if (found.length !== 1) throw new Error(`${found.length} lines marked "yours" have ${from}`)
  const at = found[0]!
  return lines.with(at, lines[at]!.replace(from, to)).join('\n')
}

function startedWith(start: (stage: Stage) => Promise<ChildProcess>) {
  return async (t: Scope, server: TestServer): Promise<RunningProxy> => {
    const { signaling, l2ps } = server.addresses
    const certificate = await makeCertificate(t)
    const ports = [await freePort(), await freePort()] as const
    const child = await start({
      ...certificate,
      directory: await temporaryDirectory(t),
      ports,
      upstreams: [new URL(signaling).host, new URL(l2ps!).host]
    })
    let said = ''
    child.stderr!.setEncoding('utf8').on('data', (text) => (said += text))
    const ended = once(child, 'exit')
    atEnd(t, () => child.kill('SIGTERM') && ended)
    for (const port of ports) {
      await until('the proxy takes connections', () => {
        if (child.exitCode !== null) throw new Error(`the proxy ended with ${child.exitCode}:\n${said}`)
        return takesConnections(port)
      })
    }
    return { url: `wss://127.0.0.1:${ports[0]}`, l2psListener: `wss://127.0.0.1:${ports[1]}`, ca: certificate.pem }
  }
}

async function takesConnections(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
