/**
 * Simulated nodes on a simulated API server: StatefulSets become pods, claims become volumes, and what runs in the pods registers a
 * Lease as a broker does. A test breaks images, crashes brokers and takes volumes away. What always holds: a pod gets ready only when
 * its image, its claim and its settings let a broker start.
 */
import type { Clock } from '../../base/world.ts'
import { annotations, labels } from '../../control/kubernetes/resources/names.ts'
import { tabletSlices } from '../../control/kubernetes/resources/tablet-slice.ts'
import type { KubeObject } from '../../kube/api.ts'
import {
  leases,
  type Lease,
  nodes,
  persistentVolumeClaims,
  type PersistentVolumeClaim,
  pods,
  type Pod,
  serviceAccounts,
  services,
  statefulSets,
  type StatefulSet,
  storageClasses,
} from '../../kube/resources.ts'
import { copyTablets } from './copying.ts'
import type { SimKube } from './kube.ts'
import { SimVolumes } from './volumes.ts'

const tickMs = 250
const startMs = 500
const readyMs = 1_000
const graceMs = 1_000
const renewMs = 3_000
/** Keeps a pod until it has stopped. */
const running = 'sim/running'

type Meta = KubeObject['metadata']

export class SimKubelets {
  /** Images that cannot be pulled. */
  readonly brokenImages = new Set<string>()
  /** Brokers that end soon after they were started. */
  readonly crashing = new Set<number>()
  /** Brokers that start and never get ready. */
  readonly recovering = new Set<number>()
  /** Brokers copy what they are replicas of; otherwise only what moves. */
  replicates = false
  /** Brokers copy at all. */
  copies = true
  /** Brokers have got tokens of whatever ServiceAccount there is. */
  renewedTokens = false
  /** Volumes are on the nodes where they were made first; otherwise they are anywhere, and nobody tells them apart. */
  hasLocalVolumes = false
  /** Nodes on which nothing answers. */
  readonly silentNodes = new Set<string>()
  /** Brokers that do not renew their Leases. */
  readonly silent = new Set<number>()
  /** Told of each pod that was ready and is no more. */
  onPodDown: ((pod: Pod) => void) | undefined
  readonly #kube: SimKube
  readonly #clock: Clock
  readonly #zones: readonly string[]
  readonly #volumes: SimVolumes
  /** When the pod with this uid got its node, or began to stop. */
  readonly #sinceMs = new Map<string, number>()
  #nextPort = 30_000
  #placed = 0

  constructor(kube: SimKube, clock: Clock, zones: readonly string[] = ['a', 'b', 'c']) {
    this.#kube = kube
    this.#clock = clock
    this.#zones = zones
    this.#volumes = new SimVolumes(kube)
    for (const zone of zones) {
      kube.set(nodes, { namespace: '', name: `node-${zone}` }, () => ({
        apiVersion: 'v1',
        kind: 'Node',
        metadata: {
          name: `node-${zone}`,
          labels: { 'topology.kubernetes.io/zone': zone, 'kubernetes.io/hostname': `node-${zone}` },
        },
      }))
    }
    const tick = (): void => {
      this.#tick()
      clock.after(tickMs, tick)
    }
    const renew = (): void => {
      this.#renew()
      clock.after(renewMs, renew)
    }
    clock.after(tickMs, tick)
    clock.after(renewMs, renew)
  }

  #tick(): void {
    for (const set of this.#kube.peekAll(statefulSets)) this.#makePod(set)
    for (const service of this.#kube.peekAll(services)) this.#givePort(service)
    for (const pod of this.#kube.peekAll(pods)) {
      const node = pod.spec?.nodeName
      if (node !== undefined && !this.#hasNode(node)) this.#remove(pod)
      else if (node !== undefined && this.silentNodes.has(node)) this.#lose(pod)
      else if (pod.metadata.deletionTimestamp === undefined) this.#advance(pod)
      else this.#terminate(pod)
    }
    if (this.copies) copyTablets(this.#kube, this.replicates)
    if (this.hasLocalVolumes) this.#volumes.tick()
  }

  #givePort(
    service: KubeObject & { readonly spec?: { readonly type?: string; readonly ports?: readonly object[] } },
  ): void {
    const [port] = service.spec?.ports ?? []
    if (service.spec?.type !== 'NodePort' || port === undefined || 'nodePort' in port) return
    const nodePort = this.#nextPort++
    this.#kube.set(
      services,
      keyOf(service),
      now => now && { ...now, spec: { ...now.spec, ports: [{ ...port, nodePort } as never] } },
    )
  }

  #makePod(set: StatefulSet): void {
    const key = { namespace: set.metadata.namespace ?? '', name: `${set.metadata.name}-0` }
    const there = this.#kube.peek(pods, key)
    const wanted = set.spec?.replicas ?? 1
    if (there !== undefined && wanted === 0 && there.metadata.deletionTimestamp === undefined)
      this.deletePod(there)
    if (there !== undefined || wanted === 0) return
    const template = set.spec?.template
    const metadata: Meta = {
      ...key,
      labels: { ...template?.metadata?.labels },
      annotations: { ...template?.metadata?.annotations },
      finalizers: [running],
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'StatefulSet',
          name: set.metadata.name,
          uid: set.metadata.uid ?? '',
          controller: true,
        },
      ],
    }
    const spec = { ...template?.spec } as NonNullable<Pod['spec']>
    this.#kube.set(pods, key, () => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec,
      status: { phase: 'Pending' },
    }))
  }

  /** As `kubectl delete pod`. */
  deletePod(pod: Pod): void {
    this.#kube.set(pods, keyOf(pod), () => undefined)
  }

  #hasNode(name: string): boolean {
    return this.#kube.peek(nodes, { namespace: '', name }) !== undefined
  }

  /** As the controller of nodes does with a pod of which nothing is heard. */
  #lose(pod: Pod): void {
    this.#down(pod)
    const status = { ...pod.status?.containerStatuses?.[0], ready: false, started: false }
    this.#status(pod, {
      ...pod.status,
      conditions: conditionsOf('False'),
      ...(pod.status?.containerStatuses && { containerStatuses: [status] }),
    })
  }

  /** Whether what the broker with this claim had in sync in run `run` is still there. */
  holds(claim: { readonly namespace: string; readonly name: string }, run: number): boolean {
    return this.#volumes.holds(claim, run)
  }

  /** Empties a volume, as when its disk was exchanged. */
  wipe(volume: string): void {
    this.#volumes.wipe(volume)
  }

  #terminate(pod: Pod): void {
    const uid = `end of ${pod.metadata.uid}`
    const since = this.#sinceMs.get(uid)
    if (since === undefined) {
      this.#sinceMs.set(uid, this.#clock.monotonicMs())
      this.#down(pod)
      this.#status(pod, { ...pod.status, conditions: conditionsOf('False') })
    } else if (this.#clock.monotonicMs() - since >= graceMs) {
      this.#sinceMs.delete(uid)
      this.#remove(pod)
    }
  }

  #remove(pod: Pod): void {
    this.#down(pod)
    this.#kube.set(pods, keyOf(pod), now => {
      if (now === undefined) return undefined
      const { apiVersion, kind, metadata, spec } = now
      return { apiVersion, kind, metadata: { ...metadata, finalizers: [] }, ...(spec && { spec }) }
    })
    if (pod.metadata.deletionTimestamp === undefined) this.#kube.set(pods, keyOf(pod), () => undefined)
  }

  #down(pod: Pod): void {
    if (pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'))
      this.onPodDown?.(pod)
  }

  #advance(pod: Pod): void {
    if (pod.spec?.nodeName === undefined) {
      this.#schedule(pod)
      return
    }
    const sinceMs = this.#clock.monotonicMs() - (this.#sinceMs.get(pod.metadata.uid ?? '') ?? 0)
    const waiting = this.#waitsFor(pod)
    const isStarted = waiting === undefined && sinceMs >= startMs
    if (isStarted && pod.status?.containerStatuses?.[0]?.started !== true) this.#register(pod)
    const isReady = isStarted && sinceMs >= readyMs && !this.recovering.has(idOf(pod))
    if (!isReady) this.#down(pod)
    if (waiting !== undefined) this.#sinceMs.set(pod.metadata.uid ?? '', this.#clock.monotonicMs())
    const status = {
      name: 'stele',
      image: imageOf(pod),
      imageID: '',
      ready: isReady,
      started: isStarted,
      restartCount: 0,
      state: waiting === undefined ? { running: {} } : { waiting },
    }
    this.#status(pod, {
      phase: waiting === undefined ? 'Running' : 'Pending',
      hostIP: '10.0.0.1',
      conditions: conditionsOf(isReady ? 'True' : 'False'),
      containerStatuses: [status],
    })
  }

  #waitsFor(pod: Pod): { reason: string; message: string } | undefined {
    const image = imageOf(pod)
    if (this.brokenImages.has(image))
      return { reason: 'ImagePullBackOff', message: `Back-off pulling image "${image}"` }
    if (this.crashing.has(idOf(pod)))
      return { reason: 'CrashLoopBackOff', message: 'back-off restarting failed container' }
    return undefined
  }

  #schedule(pod: Pod): void {
    const name =
      pod.spec?.volumes?.find(volume => volume.persistentVolumeClaim)?.persistentVolumeClaim?.claimName ?? ''
    const claim = this.#kube.peek(persistentVolumeClaims, { namespace: pod.metadata.namespace ?? '', name })
    const node = this.#nodeFor(claim)
    const problem =
      claim === undefined ? `persistentvolumeclaim "${name}" not found` : this.#bind(claim, node)
    if (problem !== undefined) {
      const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: problem }
      this.#status(pod, { phase: 'Pending', conditions: [condition] })
      return
    }
    this.#placed += 1
    this.#sinceMs.set(pod.metadata.uid ?? '', this.#clock.monotonicMs())
    const spec = { ...pod.spec, nodeName: node ?? '' } as NonNullable<Pod['spec']>
    this.#kube.set(pods, keyOf(pod), now => now && { ...now, spec })
  }

  /** The node of its volume, or the next one; undefined where there is none. */
  #nodeFor(claim: PersistentVolumeClaim | undefined): string | undefined {
    const bound = claim && this.#volumes.nodeOf(claim)
    const all = this.#zones.map(zone => `node-${zone}`)
    const usable = all.filter(name => this.#hasNode(name) && !this.silentNodes.has(name))
    if (bound !== undefined) return usable.find(name => name === bound)
    return usable.length === 0 ? undefined : usable[this.#placed % usable.length]
  }

  #bind(claim: PersistentVolumeClaim, node: string | undefined): string | undefined {
    if (node === undefined) return "0 nodes are available: didn't match PersistentVolume's node affinity"
    if (claim.metadata.deletionTimestamp !== undefined) return 'persistentvolumeclaim is being deleted'
    if (claim.status?.phase === 'Lost') return 'persistentvolumeclaim bound to non-existent persistentvolume'
    if (claim.status?.phase === 'Bound') return undefined
    const wanted = claim.spec?.storageClassName
    const known =
      wanted === undefined || this.#kube.peek(storageClasses, { namespace: '', name: wanted }) !== undefined
    if (!known) return 'pod has unbound immediate PersistentVolumeClaims'
    if (this.hasLocalVolumes) this.#volumes.bind(claim, node)
    this.#kube.setStatus(persistentVolumeClaims, keyOf(claim), { phase: 'Bound' })
    return undefined
  }

  /** Takes the broker's Lease with the next incarnation, and its entries in the sets of replicas in sync. */
  #register(pod: Pod): void {
    const cluster = pod.metadata.labels?.[labels.cluster] ?? ''
    const id = idOf(pod)
    const key = { namespace: pod.metadata.namespace ?? '', name: `${cluster}-broker-${id}` }
    const slices = this.#kube
      .peekAll(tabletSlices)
      .filter(slice => slice.metadata.labels?.[labels.cluster] === cluster)
    const mine = slices.flatMap(slice =>
      slice.tablets.flatMap(({ isr }) => isr.filter(({ broker }) => broker === id)),
    )
    const before = recordOf(this.#kube.peek(leases, key))
    const incarnation = Math.max(before, ...mine.map(member => member.incarnation)) + 1
    const disk = this.hasLocalVolumes
      ? this.#volumes.diskOf(key, incarnation)
      : { id: `disk-${id}`, since: 0 }
    const record = JSON.stringify({
      brokerId: id,
      diskId: disk.id,
      cleanStop: true,
      incarnation,
      addresses: {},
    })
    this.#kube.set(leases, key, now => ({
      ...(now ?? { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' }),
      metadata: {
        ...now?.metadata,
        ...key,
        labels: { ...now?.metadata.labels, [labels.cluster]: cluster, [labels.brokerId]: String(id) },
        annotations: { ...now?.metadata.annotations, [annotations.broker]: record },
      },
      spec: { holderIdentity: pod.metadata.name },
    }))
    for (const slice of slices) {
      const renewed = slice.tablets.map(tablet => {
        // What was in sync on another disk is not here.
        const isr = tablet.isr.map(member =>
          member.broker === id && member.incarnation >= disk.since ? { ...member, incarnation } : member,
        )
        const differs = isr.some((member, at) => member.incarnation !== tablet.isr[at]?.incarnation)
        return differs ? { ...tablet, isr, version: tablet.version + 1 } : tablet
      })
      if (renewed.some((tablet, at) => tablet !== slice.tablets[at]))
        this.#kube.set(tabletSlices, keyOf(slice), now => now && { ...now, tablets: renewed })
    }
  }

  #renew(): void {
    const renewTime = new Date(this.#clock.nowMs()).toISOString()
    for (const pod of this.#kube.peekAll(pods)) {
      if (pod.status?.containerStatuses?.[0]?.started !== true || this.silent.has(idOf(pod))) continue
      if (this.#isRefused(pod) || this.silentNodes.has(pod.spec?.nodeName ?? '')) continue
      const key = { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name.replace(/-0$/, '') }
      if (this.#kube.peek(leases, key) === undefined) this.#register(pod)
      else this.#kube.set(leases, key, now => now && { ...now, spec: { ...now.spec, renewTime } })
    }
    this.#catchUp()
  }

  /** The tokens of a ServiceAccount are good as long as it is there. */
  #isRefused({ metadata, spec }: Pod): boolean {
    const had = metadata.annotations?.[annotations.account]
    const key = { namespace: metadata.namespace ?? '', name: spec?.serviceAccountName ?? '' }
    return (
      had !== undefined && !this.renewedTokens && this.#kube.peek(serviceAccounts, key)?.metadata.uid !== had
    )
  }

  /** Replicas whose brokers are ready have copied what there is, unless nobody is in sync. */
  #catchUp(): void {
    for (const slice of this.#kube.peekAll(tabletSlices)) {
      const cluster = slice.metadata.labels?.[labels.cluster] ?? ''
      const namespace = slice.metadata.namespace ?? ''
      const runOf = (id: number): number | undefined => {
        const name = `${cluster}-broker-${id}`
        const pod = this.#kube.peek(pods, { namespace, name: `${name}-0` })
        if (pod?.status?.containerStatuses?.[0]?.ready !== true) return undefined
        return recordOf(this.#kube.peek(leases, { namespace, name })) || undefined
      }
      const caught = slice.tablets.map(tablet => {
        const { isr, replicas } = tablet
        const others = replicas.filter(id => !isr.some(({ broker }) => broker === id))
        const hasSource = isr.some(({ broker, incarnation }) => runOf(broker) === incarnation)
        const joining = others.flatMap(broker => {
          const incarnation = hasSource ? runOf(broker) : undefined
          return incarnation === undefined ? [] : [{ broker, incarnation }]
        })
        if (joining.length === 0) return tablet
        return { ...tablet, isr: [...isr, ...joining], version: tablet.version + 1 }
      })
      if (caught.some((tablet, at) => tablet !== slice.tablets[at]))
        this.#kube.set(tabletSlices, keyOf(slice), now => now && { ...now, tablets: caught })
    }
  }

  #status(pod: Pod, status: unknown): void {
    if (JSON.stringify(status) !== JSON.stringify(pod.status)) this.#kube.setStatus(pods, keyOf(pod), status)
  }
}

const keyOf = ({ metadata }: KubeObject) => ({ namespace: metadata.namespace ?? '', name: metadata.name })

const idOf = ({ metadata }: KubeObject): number => Number(metadata.labels?.[labels.brokerId])

const imageOf = (pod: Pod): string => pod.spec?.containers[0]?.image ?? ''

const conditionsOf = (ready: 'True' | 'False') => [
  { type: 'PodScheduled', status: 'True' },
  { type: 'Ready', status: ready },
]

function recordOf(lease: Lease | undefined): number {
  const text = lease?.metadata.annotations?.[annotations.broker]
  return text === undefined ? 0 : (JSON.parse(text) as { incarnation: number }).incarnation
}
