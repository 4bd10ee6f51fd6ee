import { expect, test } from 'vitest'
import { explain } from '../failure.ts'
import { inKubernetes } from './in-kubernetes.ts'

const environment = { STELE_CLUSTER: 'events', POD_NAMESPACE: 'logs', POD_NAME: 'events-broker-0-0' }
const lost = (): void => undefined

test('a pod says which broker of which cluster it is', () => {
  expect(inKubernetes({ ...environment, STELE_CLUSTER_ID: 'abc', KUBECONFIG: '' }, lost)).toEqual({
    cluster: 'events',
    namespace: 'logs',
    pod: 'events-broker-0-0',
    clusterId: 'abc',
    kubeconfig: undefined,
    lost,
  })
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
