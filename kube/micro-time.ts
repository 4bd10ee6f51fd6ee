/** Kubernetes' MicroTime: RFC 3339 with exactly six fractional digits, or the API server refuses it. */
export const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z')
