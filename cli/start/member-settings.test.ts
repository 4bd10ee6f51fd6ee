import { expect, test } from 'vitest'
import { Failure } from '../failure.ts'
import { memberSettings } from './member-settings.ts'

const wanted = (settings: Record<string, string> = {}, brokers = 3) => ({
  brokers,
  kafka: undefined,
  http: undefined,
  settings,
})

test('each broker has its number, the next ports, copies over loopback, and topics three replicas', () => {
  expect(memberSettings(wanted(), 2)).toEqual({
    'broker.id': '2',
    'default.replication.factor': '3',
    listeners: 'PLAINTEXT://localhost:9094,HTTP://localhost:8082,REPLICATION://127.0.0.1:0',
  })
  expect(memberSettings(wanted({}, 2), 0)).toMatchObject({ 'default.replication.factor': '2' })
  expect(memberSettings(wanted({}, 5), 0)).toMatchObject({ 'default.replication.factor': '3' })
})

test('what is said holds', () => {
  const given = {
    'default.replication.factor': '1',
    'broker.rack': 'zone-{id}',
    listeners: 'PLAINTEXT://:7000,REPLICATION://10.0.0.1:7100',
    'advertised.listeners': 'PLAINTEXT://log.example:7000',
    'stele.log.file': 'logs/stele.log',
  }
  expect(
    memberSettings({ ...wanted(given), kafka: '127.0.0.1:0', http: ':8000' }, 1, { kafka: 4711 }),
  ).toEqual({
    ...given,
    'broker.id': '1',
    'broker.rack': 'zone-1',
    listeners: 'REPLICATION://10.0.0.1:7101,PLAINTEXT://127.0.0.1:4711,HTTP://:8001',
    'advertised.listeners': 'PLAINTEXT://log.example:7001',
    'stele.log.file': 'logs/stele-broker-1.log',
  })
  expect(memberSettings(wanted({ 'stele.log.file': '/var.d/log' }), 0)).toMatchObject({
    'stele.log.file': '/var.d/log-broker-0',
  })
})

test('a broker has its number from its place, and there are ports up to 65535', () => {
  expect(() => memberSettings(wanted({ 'node.id': '1' }), 0)).toThrow(Failure)
  expect(() => memberSettings({ ...wanted(), kafka: ':65534' }, 2)).toThrow(/no port 65536/)
})
