import { SimKube } from '../sim/kube.ts'
import { simWorld } from '../sim/world.ts'
import { kubeApiContract } from './kube-api.ts'

const definitions = [
  { id: 'widgets.contract.stele.dev', status: true, generation: true, unconditional: false },
  { id: 'notes.contract.stele.dev', generation: true, unconditional: false },
]

kubeApiContract('simulated', async () => {
  const sim = simWorld({ seed: 1 })
  const server = new SimKube({ clock: sim.world.clock, random: sim.random.fork(), definitions })
  return {
    api: server.client(),
    namespaces: ['contract-a', 'contract-b'],
    run: promise => sim.clock.finish(promise),
    close: async () => undefined,
  }
})
