// The former names of two types.
export type { Counter as Count, Histogram as Distribution } from './metric.ts'
