// What is inside a sealed message of the playground: JSON that only the two browsers read.

/** A part of the negotiation of a WebRTC connection. */
export interface Signal {
  readonly description?: RTCSessionDescriptionInit
  readonly candidate?: RTCIceCandidateInit | null
}

export type Content =
  | { readonly kind: 'hello'; readonly name: string }
  | { readonly kind: 'text'; readonly id: string; readonly text: string }
  /** The application at the other end has shown the text with this id. */
  | { readonly kind: 'receipt'; readonly id: string }
  | { readonly kind: 'signal'; readonly signal: Signal }
  | { readonly kind: 'file'; readonly id: string; readonly name: string; readonly size: number }
  | { readonly kind: 'chunk'; readonly id: string; readonly base64: string }

const KINDS = ['hello', 'text', 'receipt', 'signal', 'file', 'chunk']

/** Undefined when it is not from a playground. The other end is trusted with the rest of the shape no further than text. */
export function readContent(text: string): Content | undefined {
  try {
    const content = JSON.parse(text)
    return KINDS.includes(content?.kind) ? content : undefined
  } catch {
    return undefined
  }
}
