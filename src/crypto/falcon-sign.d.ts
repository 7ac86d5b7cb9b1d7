// The part of falcon-sign we use; the package brings no types.
declare module 'falcon-sign' {
  export interface FalconKernel {
    genkey(seed?: Uint8Array): { pk: Uint8Array; sk: Uint8Array } | undefined
    sign(message: Uint8Array, secretKey: Uint8Array, salt?: Uint8Array): Uint8Array | undefined
    /** Throws on wrong lengths. Reads the signature's buffer from its start, so it must own its buffer. */
    verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean
  }
  export function getKernel(algorithm: 'falcon512_n3_v1'): FalconKernel | Promise<FalconKernel>
}
