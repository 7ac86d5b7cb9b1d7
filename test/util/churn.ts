// Prints how many bytes the old generation has grown by while entries came to a map and left it.
import { getHeapSpaceStatistics } from 'node:v8'
import { BusyMap } from '../../src/util/busy-map.ts'

const ENTRIES = 30_000
const VALUES = 100

const oldBytes = () => getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')!.space_used_size

function grownBy(map: { set(key: number, value: unknown): void; delete(key: number): unknown }): number {
  map.set(-1, 'stays')
  for (let times = 0; times < 3; times++) globalThis.gc!() // what it holds now is old
  const before = oldBytes()
  for (let key = 0; key < ENTRIES; key++) {
    map.set(
      key,
      Array.from({ length: VALUES }, () => key)
    )
    map.delete(key - 5)
  }
  return oldBytes() - before
}

process.stdout.write(JSON.stringify({ busy: grownBy(new BusyMap()), map: grownBy(new Map()) }))
