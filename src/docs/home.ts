import { markdownPage } from './markdown.ts'

/** What a browser is shown at `/`. `isOperators`: the console and the documents are on this listener, too. */
export const homePage = (isOperators: boolean): string =>
  markdownPage(
    'a relay for messages',
    `This server passes end-to-end encrypted messages between peers of the Demos network, and keeps them while a peer is away.
It never sees what is in them. Programs connect to this address by WebSocket.

${isOperators ? OPERATORS : 'The console and the documents are on a listener of their own (`ADMIN_PORT`), for operators.'}
- Is it [alive](health/live), is it [ready](health/ready)?
- Talk to somebody: \`demos-relay chat --url ADDRESS\`, with the address of this page.
- Check what was relayed: the [verifier key](audit/vkey) of its transparency logs, and \`demos-relay audit verify\`.
`
  )

const OPERATORS = `- [The console](console/), for operators: it wants the admin token.
- [The REST API](docs/), [the WebSocket protocols](docs/asyncapi), [what errors mean](docs/errors).`
