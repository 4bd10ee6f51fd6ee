export type Counters = { malformed: number; bytesIn: number; bytesOut: number }
