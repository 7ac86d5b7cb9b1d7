/** What became of the messages of a run. All but the first two must be 0, and those equal. */
export interface Verification {
  sent: number
  received: number
  lost: number
  twice: number
  reordered: number
  /** Arrived with another body than was sent. */
  altered: number
  /** Answered with an error. */
  refused: number
  /** Confirmed more or less often, or in another order, than sent. */
  misconfirmed: number
  /** Still in a mailbox of the server after everybody had everything. */
  leftBehind: number
}

export const nothingYet = (): Verification => ({
  ...{ sent: 0, received: 0, lost: 0, twice: 0, reordered: 0 },
  ...{ altered: 0, refused: 0, misconfirmed: 0, leftBehind: 0 }
})

export function total(parts: readonly Verification[]): Verification {
  const sum = nothingYet()
  for (const part of parts) for (const key of Object.keys(sum) as (keyof Verification)[]) sum[key] += part[key]
  return sum
}

export function isFlawless({ sent, received, ...faults }: Verification): boolean {
  return sent === received && Object.values(faults).every((count) => count === 0)
}
