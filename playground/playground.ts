// The page at /playground/: who one is, by which protocol, and then the room.
import { type Bytes, fromHex, SEED_BYTES, toHex } from '../client/src/index.ts'
import { byId } from './dom.ts'
import { type Invitation, readInvitation } from './invitation.ts'
import { openL2psTalk } from './l2ps-talk.ts'
import { Room } from './room.ts'
import { openSignalingTalk } from './signaling-talk.ts'
import type { Talk } from './talk.ts'

const NAMES = ['ada', 'bo', 'cleo', 'dara', 'emil', 'fay', 'gus', 'hana', 'ivo', 'juno', 'kai', 'lou', 'mio', 'nia']

const invitation = readInvitation(location.hash)
const nameField = byId<HTMLInputElement>('name')
nameField.value = sessionStorage.getItem('name') ?? NAMES[Math.floor(Math.random() * NAMES.length)]!

if (invitation !== undefined) {
  byId('ways').hidden = true
  byId('start-title').textContent = `${invitation.name || 'Somebody'} invites you to talk`
}
byId('ways').addEventListener('change', () => {
  byId('network-field').hidden = way() !== 'l2ps'
})
byId('join').addEventListener('submit', (event) => {
  event.preventDefault()
  void join()
})
if (!isSecureContext)
  complain('This page needs https, or an address of this machine like 127.0.0.1: browsers allow keys there only.')

function way(): Invitation['via'] {
  if (invitation !== undefined) return invitation.via
  return document.querySelector<HTMLInputElement>('input[name=via]:checked')!.value as Invitation['via']
}

async function join(): Promise<void> {
  const button = document.querySelector<HTMLButtonElement>('#join button')!
  const name = nameField.value.trim()
  button.disabled = true
  sessionStorage.setItem('name', name)
  byId('problem').hidden = true
  try {
    const room = new Room(name)
    await room.open(await (way() === 'l2ps' ? l2ps(name, room) : signaling(name, room)), invitation?.name)
  } catch (error) {
    const { details, message } = error as { details?: string; message: string }
    complain(details ?? message)
    button.disabled = false
  }
}

function signaling(name: string, room: Room): Promise<Talk> {
  const seed = kept('identity', SEED_BYTES)
  const clientId = `${name}-${toHex(seed.subarray(0, 3))}` // two people may have one name
  return openSignalingTalk(
    { name, clientId, seed, invitation: invitation?.via === 'signaling' ? invitation : undefined },
    room
  )
}

function l2ps(name: string, room: Room): Promise<Talk> {
  const invited = invitation?.via === 'l2ps' ? invitation : undefined
  return openL2psTalk(
    {
      name,
      network: invited?.network ?? byId<HTMLInputElement>('network').value,
      seed: kept('identity', SEED_BYTES).subarray(0, 32),
      subnetKey: invited?.subnetKey ?? kept('subnet-key', 32),
      invitation: invited
    },
    room
  )
}

/** Secret bytes of this tab: a reload keeps them, another tab is another person. */
function kept(name: string, length: number): Bytes {
  const stored = sessionStorage.getItem(name)
  if (stored !== null) return fromHex(stored)
  const made = crypto.getRandomValues(new Uint8Array(length))
  sessionStorage.setItem(name, toHex(made))
  return made
}

function complain(sentence: string): void {
  byId('problem').textContent = sentence
  byId('problem').hidden = false
}
