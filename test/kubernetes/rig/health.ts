// Asks a program whether it is well, over HTTP.
import { get as getHttp } from 'node:http'
import { get as getHttps } from 'node:https'

/** True when `url` answers 200. Programs made their certificates themselves; nothing secret is sent. */
export function isWell(url: string): Promise<boolean> {
  const options = { timeout: 2_000, agent: false } as const
  return new Promise((resolve, reject) => {
    const request = url.startsWith('https:')
      ? getHttps(url, { ...options, rejectUnauthorized: false })
      : getHttp(url, options)
    request.once('timeout', () => request.destroy(new Error(`${url} does not answer`)))
    request.once('error', reject)
    request.once('response', response => {
      response.resume()
      resolve(response.statusCode === 200)
    })
  })
}
