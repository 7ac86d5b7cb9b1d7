import { type TSchema, Type } from '@sinclair/typebox'
import { PROTOCOLS, type ProtocolDoc } from '../protocol/frames.ts'
import { VERSION } from '../util/package-root.ts'
import { exampleOf } from './frame-examples.ts'

/** The AsyncAPI 3.0 document of both WebSocket protocols, as plain JSON. `action` is what this server does. */
export function asyncApiDocument(): object {
  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'Demos Relay',
      version: VERSION,
      description:
        'The WebSocket protocols of demos-relay. Every frame is one JSON object in a text frame of at most 262,144 ' +
        'bytes. Messages are delivered at least once and in the order they were accepted; their bodies are sealed.',
      license: { name: 'MIT' }
    },
    defaultContentType: 'application/json',
    servers: Object.fromEntries(PROTOCOLS.map((protocol) => [protocol.name, serverOf(protocol)])),
    channels: Object.fromEntries(PROTOCOLS.map((protocol) => [protocol.name, channelOf(protocol)])),
    operations: Object.assign({}, ...PROTOCOLS.map(operationsOf))
  }
  return JSON.parse(JSON.stringify(document)) // TypeBox marks its schemas with symbols
}

const serverOf = ({ name, port, title }: ProtocolDoc) => ({
  host: `localhost:${port}`,
  protocol: 'ws',
  title,
  description: `The port of ${title}: its path may also be \`/\`. The other protocol is there at its own path.`,
  pathname: `/${name}`
})

function channelOf({ name, title, description, clientFrames, serverFrames, hasRequestIds }: ProtocolDoc) {
  const fromClient = clientFrames.map(({ frame, summary }) => {
    const payload = frameSchema(frame.type, frame.payload, hasRequestIds ? CLIENT_FIELDS : {})
    const examples = [{ payload: exampleOf(name, 'client', frame.type) }]
    return [`client.${frame.type}`, { name: frame.type, title: frame.type, summary, payload, examples }]
  })
  const fromServer = serverFrames.map(({ type, summary, payload }) => {
    const schema = frameSchema(type, payload, hasRequestIds ? SERVER_FIELDS : {})
    const examples = [{ payload: exampleOf(name, 'server', type) }]
    return [`server.${type}`, { name: type, title: type, summary, payload: schema, examples }]
  })
  return {
    address: `/${name}`,
    title,
    description,
    servers: [{ $ref: `#/servers/${name}` }],
    messages: Object.fromEntries([...fromClient, ...fromServer])
  }
}

function operationsOf({ name, clientFrames, serverFrames }: ProtocolDoc) {
  const channel = { $ref: `#/channels/${name}` }
  const message = (key: string) => ({ $ref: `#/channels/${name}/messages/${key}` })
  const requests = clientFrames.map(({ frame, summary, answers }) => [
    `${name}.${frame.type}`,
    {
      ...{ action: 'receive', channel, summary, messages: [message(`client.${frame.type}`)] },
      ...(answers.length === 0
        ? {}
        : { reply: { channel, messages: answers.map((type) => message(`server.${type}`)) } })
    }
  ])
  const replies = new Set(clientFrames.flatMap(({ answers }) => answers))
  const pushes = serverFrames
    .filter(({ type }) => !replies.has(type))
    .map(({ type, summary }) => [
      `${name}.push.${type}`,
      { action: 'send', channel, summary, messages: [message(`server.${type}`)] }
    ])
  return Object.fromEntries([...requests, ...pushes])
}

const RequestId = Type.Optional(
  Type.String({ maxLength: 128, description: 'Chosen by the client; the reply to a request carries it back' })
)
const CLIENT_FIELDS = {
  timestamp: Type.Integer({ description: "ms since 1970, the client's clock; what a proof signs" }),
  requestId: RequestId
}
const SERVER_FIELDS = { timestamp: Type.Integer({ description: 'ms since 1970' }), requestId: RequestId }

const frameSchema = (type: string, payload: TSchema, fields: Record<string, TSchema>) =>
  Type.Object({ type: Type.Literal(type), payload, ...fields })
