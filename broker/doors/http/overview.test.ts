import fastify from 'fastify'
import { expect, test } from 'vitest'
import { addOverview } from './overview.ts'

test('the address alone shows a page that loads nothing from elsewhere', async () => {
  const app = fastify()
  addOverview(app)
  const { statusCode, headers, body } = await app.inject('/')
  expect(statusCode).toBe(200)
  expect(headers['content-type']).toContain('text/html')
  expect(headers['content-security-policy']).toContain("default-src 'none'")
  expect(body).toContain('<title>Stele</title>')
  expect(body).not.toMatch(/https?:\/\//)
  await app.close()
})
