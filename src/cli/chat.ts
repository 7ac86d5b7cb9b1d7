import type { Chat, Listener } from '../../examples/chat/chat.ts'
import type { Config } from '../config/schema.ts'
import { hostToReach } from './admin-client.ts'
import { type Call, type Command, CommandError, EXIT, type ExitCode, type Io, UsageError, usual } from './command.ts'
import { painter, plain } from './words.ts'

export const chat: Command = {
  name: 'chat',
  summary: 'try it: a terminal chat, end-to-end encrypted',
  about: [
    'Over signaling: demos-relay chat --name alice --to bob, and the same the other way round in another terminal. In an L2PS network: demos-relay chat --network demo --passphrase "our words"; it says what you are called there, and /to chooses whom you talk to.',
    'Your keys are made once and kept, so the name stays yours: in demos-relay/chat of XDG_CONFIG_HOME (~/.config). "sent" means that the server took it and the other was there, "queued" that it is kept until the other comes, "delivered" that the other\'s end has it (signaling never tells that).',
    'In it: /to NAME, /who, /quit. Without a terminal, each line of the input is a message, and it ends with the input.'
  ],
  actions: [
    {
      name: '',
      about: 'Talk.',
      options: {
        name: {
          value: 'NAME',
          about: 'what you are called; in a network only what your keys are filed under (default: me)'
        },
        to: { value: 'NAME', about: 'whom you talk to; in a network, a public key in hex' },
        network: { value: 'UID', about: 'talk in this L2PS network, not over signaling' },
        key: {
          value: 'FILE',
          about: 'the key its members share: 64 hex digits; demos-relay keygen subnet-key makes one'
        },
        passphrase: {
          value: 'TEXT',
          about: 'words its members share, instead of a key; others on this machine can see them'
        },
        keys: { value: 'FILE', about: 'your own keys, made when the file is not there' },
        url: { value: 'URL', about: 'the server (ws://127.0.0.1:3005; for a network ws://127.0.0.1:3006)' }
      },
      run: talk
    }
  ],
  exits: { [EXIT.failed]: 'refused, or the connection was lost for good', ...usual(EXIT.unreachable, EXIT.settings) }
}

interface Setup {
  readonly url: string
  readonly keysFile: string
  open(listener: Listener): Promise<Chat>
}

async function talk(call: Call, io: Io): Promise<ExitCode> {
  const { config } = await io.settings()
  const setup =
    call.text('network') === undefined ? await signalingSetup(call, config, io) : await l2psSetup(call, config, io)
  const [{ createScreen }, { Talk, CHAT_HELP }] = await Promise.all([
    import('../../examples/chat/screen.ts'),
    import('../../examples/chat/talk.ts')
  ])
  const paint = painter(io.colours)
  const screen = createScreen(io.stdin, io.stdout, '> ')
  try {
    const talk = new Talk(screen, paint, call.text('to'))
    const chat = await setup.open(talk)
    if (chat.me === call.text('to')) throw new UsageError('--to must be somebody else')
    await connect(chat, setup)
    talk.note(`you are ${plain(chat.me)} at ${setup.url}; your keys are in ${setup.keysFile}`)
    if (io.stdout.isTTY) talk.note(CHAT_HELP)
    const held = await talk.run(chat, io.interruption())
    await chat.close()
    return held ? EXIT.ok : EXIT.failed
  } finally {
    screen.close()
  }
}

async function connect(chat: Chat, { url, keysFile }: Setup): Promise<void> {
  try {
    await chat.start()
  } catch (cause) {
    const { errorType, details } = cause as { errorType?: string; details: string }
    if (errorType === 'NOT_CONNECTED') {
      throw new CommandError(EXIT.unreachable, `no server answers at ${url} (${details}). --url says where it is`, {
        cause
      })
    }
    const hint =
      errorType === 'CLIENT_ID_TAKEN'
        ? `. ${plain(chat.me)} belongs to other keys than those in ${keysFile}, or is in use: choose another --name`
        : ''
    throw new CommandError(EXIT.failed, `${details ?? (cause as Error).message}${hint}`, { cause })
  }
}

async function signalingSetup(call: Call, config: Config, io: Io): Promise<Setup> {
  const name = call.text('name')
  if (name === undefined) throw new UsageError('--name NAME is missing: what you are called')
  for (const option of ['key', 'passphrase']) {
    if (call.text(option) !== undefined) throw new UsageError(`--${option} is for a network: name it with --network`)
  }
  const [{ keysFile, loadSeed }, { createSignalingChat }, { SEED_BYTES }] = await Promise.all([
    import('../../examples/chat/keys.ts'),
    import('../../examples/chat/signaling-chat.ts'),
    import('../../client/src/identity.ts')
  ])
  const url = socketUrl(call, config, config.RPC_SIGNALING_PORT ?? config.SIGNALING_SERVER_PORT)
  const file = call.text('keys') ?? keysFile(io.configHome, name, 'signaling')
  const { seed } = await loadSeed(file, SEED_BYTES)
  return { url, keysFile: file, open: (listener) => createSignalingChat({ url, name, seed }, listener) }
}

async function l2psSetup(call: Call, config: Config, io: Io): Promise<Setup> {
  const network = call.text('network')!
  const [{ keysFile, loadSeed, readSubnetKey, keyOfPassphrase }, { createL2psChat }] = await Promise.all([
    import('../../examples/chat/keys.ts'),
    import('../../examples/chat/l2ps-chat.ts')
  ])
  const [key, passphrase] = [call.text('key'), call.text('passphrase')]
  if ((key === undefined) === (passphrase === undefined)) {
    throw new UsageError('--network needs the key its members share: either --key FILE or --passphrase TEXT')
  }
  const to = call.text('to')
  if (to !== undefined && !/^[0-9a-f]{64}$/.test(to))
    throw new UsageError('--to must be a public key: 64 hex digits in lower case')
  const subnetKey = key === undefined ? keyOfPassphrase(passphrase!, network) : await readSubnetKey(key)
  const url = socketUrl(call, config, config.L2PS_MESSAGING_PORT)
  const file = call.text('keys') ?? keysFile(io.configHome, call.text('name') ?? 'me', 'l2ps')
  const { seed } = await loadSeed(file, 32)
  return { url, keysFile: file, open: (listener) => createL2psChat({ url, network, seed, subnetKey }, listener) }
}

function socketUrl(call: Call, { HOST }: Config, port: number): string {
  const text = call.text('url')?.replace(/^http(s?):/, 'ws$1:')
  if (text === undefined) return `ws://${hostToReach(HOST)}:${port}`
  if (URL.canParse(text) && /^wss?:$/.test(new URL(text).protocol)) return text
  throw new UsageError('--url must be the address of a server, like ws://127.0.0.1:3005')
}
