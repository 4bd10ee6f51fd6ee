import { afterEach } from 'vitest'
import { realClock } from '../../broker/world/clock.ts'
import { openKubernetesStore } from '../../control/kubernetes/store.ts'
import type { ControlStore } from '../../control/store.ts'
import { SimKube } from '../sim/kube.ts'
import { Seeded } from '../sim/seeded.ts'
import { quietLog, startPlacing } from '../sim/kube-placing.ts'
import { controlStoreContract } from './control-store.ts'
import type { Opened } from './control-store.opened.ts'

const opened = new Set<ControlStore>()
afterEach(async () => {
  for (const store of opened) await store.close()
  opened.clear()
})

let seed = 0

controlStoreContract('Kubernetes', async () => {
  const random = new Seeded((seed += 1))
  const kube = new SimKube({ clock: realClock, random })
  startPlacing(kube, { clock: realClock, cluster: 'events', namespace: 'default' })
  const open = async (): Promise<Opened> => {
    const store = await openKubernetesStore({
      api: kube.client(),
      clock: realClock,
      random: { bytes: count => random.bytes(count) },
      log: quietLog,
      cluster: 'events',
      namespace: 'default',
      pod: 'events-broker-0-0',
      lost: why => {
        throw new Error(why)
      },
    })
    opened.add(store)
    return {
      store,
      async reopen() {
        await store.close({ clean: true })
        opened.delete(store)
        return open()
      },
    }
  }
  return open()
})
