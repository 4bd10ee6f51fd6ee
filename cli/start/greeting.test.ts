import { describe, expect, test } from 'vitest'
import { clusterGreeting, clusterReadyLine, greeting, readyLine } from './greeting.ts'

const local = { kafka: ['127.0.0.1:9092', '[::1]:9092'], http: ['127.0.0.1:8080', '[::1]:8080'] }

describe('what is printed when the broker is ready', () => {
  test('at the default addresses, commands need no address', () => {
    const text = greeting(local, '/data', 'npx stele')
    expect(text).toContain('Kafka  localhost:9092\n')
    expect(text).toContain('echo hello | kcat -b localhost:9092 -P -t greetings\n')
    expect(text).toContain("curl -d hello 'http://localhost:8080/append?topic=greetings'\n")
    expect(text).toContain('npx stele consume greetings\n')
  })

  test('elsewhere they name it; every interface is reached as localhost', () => {
    const text = greeting({ kafka: ['0.0.0.0:1'], http: ['[::]:2'] }, '/data', 'npx stele')
    expect(text).toContain('Kafka  localhost:1 (on every interface)\n')
    expect(text).toContain('npx stele consume greetings --server http://localhost:2\n')
  })

  test('a door that is shut is not advertised', () => {
    const text = greeting({ kafka: [], http: ['127.0.0.1:8080'] }, '/data', 'npx stele')
    expect(text).not.toMatch(/kafka|kcat/i)
  })

  test('for programs it is one line of JSON', () => {
    expect(readyLine(local, 17)).toBe(
      '{"ready":true,"kafka":"localhost:9092","http":"http://localhost:8080","pid":17}\n',
    )
    expect(JSON.parse(readyLine({ kafka: ['10.0.0.1:1'], http: [] }, 17))).toMatchObject({
      kafka: '10.0.0.1:1',
      http: null,
    })
  })
})

describe('what is printed when several brokers are ready', () => {
  const members = [0, 1, 2].map(id => ({
    id,
    pid: 100 + id,
    doors: {
      kafka: [`127.0.0.1:${9092 + id}`, `[::1]:${9092 + id}`],
      http: [`127.0.0.1:${8080 + id}`, `[::1]:${8080 + id}`],
    },
  }))

  test('all addresses, and how to see a failover', () => {
    const text = clusterGreeting(members, '/data', 'npx stele')
    for (const { id, pid } of members)
      expect(text).toMatch(new RegExp(`broker ${id} +Kafka localhost:${9092 + id} .*${8080 + id} .*${pid}`))
    expect(text).toContain('kcat -b localhost:9092,localhost:9093,localhost:9094 -P')
    expect(text).toContain('npx stele topic describe greetings --server http://localhost:8082')
    expect(text).toContain('kill -9 100')
  })

  test('for programs one line of JSON', () => {
    const line = clusterReadyLine(members, 1)
    expect(line.split('\n')).toHaveLength(2)
    expect(JSON.parse(line)).toMatchObject({
      ready: true,
      pid: 1,
      kafka: 'localhost:9092,localhost:9093,localhost:9094',
      brokers: [{ id: 0, pid: 100 }, {}, { http: 'http://localhost:8082' }],
    })
  })
})
