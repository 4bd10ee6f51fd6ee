import { expect, test } from 'vitest'
import { explain } from '../failure.ts'
import { inKubernetes } from './in-kubernetes.ts'

const environment = { STELE_CLUSTER: 'events', POD_NAMESPACE: 'logs', POD_NAME: 'events-broker-0-0' }
const lost = (): void => undefined

test('the cluster id is given, or its own', () => {
  expect(inKubernetes({ ...environment, STELE_CLUSTER_ID: 'abc' }, lost).clusterId).toBe('abc')
  expect(inKubernetes({ ...environment, STELE_CLUSTER_ID: '' }, lost).clusterId).toBeUndefined()
})

test.each(Object.keys(environment))('without %s it says what is missing and who sets it', name => {
  let failure: unknown
  try {
    inKubernetes({ ...environment, [name]: '' }, lost)
  } catch (error) {
    failure = error
  }
  expect(explain(failure).text).toMatch(new RegExp(`needs the environment variable ${name}.*\\n?.*operator`))
})
