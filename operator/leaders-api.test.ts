import { expect, test } from 'vitest'
import { ApiError } from '../kube/api.ts'
import { configMaps } from '../kube/resources.ts'
import { SimKube } from '../test/sim/kube.ts'
import { Seeded } from '../test/sim/seeded.ts'
import { simWorld } from '../test/sim/world.ts'
import { leadersApi } from './leaders-api.ts'

test('who leads no more reads, and does not write', async () => {
  const { clock, world } = simWorld({ seed: 1 })
  const kube = new SimKube({ clock: world.clock, random: new Seeded(1) })
  let leads = true
  const api = leadersApi(kube.client(), () => leads)
  const key = { namespace: 'n', name: 'x' }
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: key }
  await clock.finish(api.create(configMaps, object))
  leads = false
  const writes = [
    () => api.create(configMaps, object),
    () => api.apply(configMaps, object, { manager: 'm', force: true }),
    () => api.patch(configMaps, key, []),
    () => api.replace(configMaps, object),
    () => api.delete(configMaps, key),
  ]
  for (const write of writes) await expect(write()).rejects.toThrow(ApiError)
  expect(kube.writes).toHaveLength(1)
  expect(await clock.finish(api.get(configMaps, key))).toMatchObject(object)
  expect((await clock.finish(api.list(configMaps))).items).toHaveLength(1)
})
