// What handlers are called with in their tests: a session and a place to attach it, in memory.
import type { Attachments } from '../../src/delivery/attachments.ts'
import type { MailboxContents } from '../../src/delivery/mailbox-counter.ts'
import { MailboxCounters } from '../../src/delivery/mailbox-counter.ts'
import type { Member } from '../../src/delivery/member.ts'
import type { Releases } from '../../src/delivery/releases.ts'
import type { PeersIn } from '../../src/presence/names.ts'
import { Registry } from '../../src/presence/registry.ts'
import type { Answer, Effect } from '../../src/session/effect.ts'
import type { QueueEntry } from '../../src/store/queue-entry.ts'

/** The session of a socket, without one. `lives`: whether its peer answers a ping. */
export class FakeSession<M extends Member> {
  readonly address = '::1'
  readonly isBrowser = false
  readonly protocol = { name: 'signaling' }
  readonly writer = { isFull: false }
  readonly listener = { port: 3005, isLoopback: true, isEncrypted: false }
  readonly closes: string[] = []
  readonly pushed: string[] = []
  isOpen = true
  lives = true
  asked = 0
  member: M | undefined
  failedRegistrations = 0
  putsRepliesFirst = false

  register(member: M): void {
    this.member = member
  }

  async isAlive(): Promise<boolean> {
    this.asked += 1
    return this.lives
  }

  close(reason: string): void {
    this.isOpen = false
    this.closes.push(reason)
  }

  putRepliesFirst(): void {
    this.putsRepliesFirst = true
  }

  push(frame: string | Buffer): void {
    this.pushed.push(String(frame))
  }

  whenQuiet(send: () => void): void {
    send()
  }

  notify(): void {}
  pay(): void {}
  ping(): void {}
  measured(): void {}
}

/** Attachments whose mailboxes hold what the test says. */
export function fakeAttachments(now: number) {
  const mailbox = {
    contents: { entries: 0, bytes: 0, lastSeq: 0 } as MailboxContents | 'unavailable',
    stored: [] as QueueEntry[]
  }
  const count = { inc: () => {}, observe: () => {} }
  const releases = {
    isReleasing: () => false,
    wasReturned: () => false,
    release: () => {},
    reading: <T>(read: () => Promise<T>) => read(),
    ended: () => {}
  }
  const attachments: Attachments<Member> = {
    registry: new Registry<Member>(),
    counters: new MailboxCounters(),
    releases: releases as unknown as Releases,
    places: undefined,
    contentsOf: async () => mailbox.contents,
    readPage: async (_box, { afterSeq }) => mailbox.stored.filter(({ seq }) => seq > afterSeq),
    withhold: () => {},
    left: () => {},
    mode: 'auto',
    graceMs: 10_000,
    window: { messages: 100, bytes: 1_000_000 },
    sessionsPerPeer: 2,
    counts: {
      ...{ delivered: { ack: count, pong: count, none: count }, redelivered: count, proxyPongs: count },
      ...{ deliverySeconds: count, roundTripSeconds: count }
    },
    now: () => now,
    clock: () => 0,
    log: { warn: () => {}, error: () => {} }
  }
  return { attachments, mailbox }
}

/** Where handlers get their pages: from the registry at once, or as if other relays were asked. */
export function pagesOf(registry: Registry<Member>, cluster: 'answers' | 'fails' | undefined): PeersIn {
  return (network, page) => {
    if (cluster === 'fails') return Promise.reject(new Error('no connection'))
    const found = registry.page(network, page)
    return cluster === 'answers' ? Promise.resolve(found) : found
  }
}

/** What an effect comes to. */
export async function settle(effect: Effect): Promise<Answer> {
  const settled = await effect
  return 'begin' in settled ? new Promise((resolve) => settled.begin(resolve)) : settled
}

/**
 * Bodies that JSON.parse and JSON.stringify do not give back: each must reach the mailbox as the very text it is. They
 * have the members that an L2PS body must have.
 */
export const BODIES: Readonly<Record<string, string>> = {
  'a number past 2^53': '{"ciphertext":"a","nonce":"b","n":9007199254740993}',
  'a number that is zero for a double': '{"ciphertext":"a","nonce":"b","n":1e-400}',
  'a number that is infinite for a double': '{"ciphertext":"a","nonce":"b","n":1e400}',
  'a decimal that is an integer': '{"ciphertext":"a","nonce":"b","n":1.0}',
  'minus zero': '{"ciphertext":"a","nonce":"b","n":-0}',
  'keys like integers, not in their order': '{"ciphertext":"a","nonce":"b","2":0,"1":0,"b":0,"0":0}',
  'a key twice': '{"ciphertext":"x","ciphertext":"a","nonce":"b"}',
  'white space': '{ "ciphertext" :\t"a",\r\n"nonce":"b" , "n": [ 1,\n2 ] }',
  'escapes that are not needed': '{"ciphertext":"\\u0061\\/","nonce":"b"}',
  'quotes and braces in text': '{"ciphertext":"}\\"]{\\\\","nonce":"b"}',
  'half of a surrogate pair': '{"ciphertext":"\\ud800","nonce":"b"}',
  'text outside of ASCII': '{"ciphertext":"é💌","nonce":"b"}',
  'a key named __proto__': '{"ciphertext":"a","nonce":"b","__proto__":{"toString":1}}',
  'members named like those of the frame': '{"ciphertext":"a","nonce":"b","payload":{"message":1,"encrypted":2}}'
}

/** The text of an answer's frame, which may be encoded (`encodeTextFrame`). */
export function textOf(frame: string | readonly Buffer[]): string {
  return typeof frame === 'string' ? frame : Buffer.concat(frame.slice(1)).toString()
}
