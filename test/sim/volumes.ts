/**
 * Simulated disks of nodes: claims that are bound enter, PersistentVolumes come out that only their node has, with what garbage collection and the controller of volumes do to both. What always
 * holds: a claim that a pod on a node uses stays until that is gone, and what was written stays on its volume.
 */
import type { KubeObject, ObjectKey } from '../../kube/api.ts'
import {
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  type PersistentVolume,
  type PersistentVolumeClaim,
} from '../../kube/resources.ts'
import type { SimKube } from './kube.ts'

const protection = 'kubernetes.io/pvc-protection'

export class SimVolumes {
  readonly #kube: SimKube
  /** By the name of the volume: the first run of the broker whose disk it is. */
  readonly #since = new Map<string, number>()
  #made = 0

  constructor(kube: SimKube) {
    this.#kube = kube
  }

  bind(claim: PersistentVolumeClaim, node: string): void {
    const name = `volume-${(this.#made += 1)}`
    const volume: PersistentVolume = {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        persistentVolumeReclaimPolicy: 'Delete',
        claimRef: { ...keyOf(claim), uid: claim.metadata.uid ?? '' },
        local: { path: `/disks/${name}` },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] },
            ],
          },
        },
      },
    }
    this.#kube.set(persistentVolumes, { namespace: '', name }, () => volume)
    this.#kube.set(
      persistentVolumeClaims,
      keyOf(claim),
      now =>
        now && {
          ...now,
          metadata: { ...now.metadata, finalizers: [protection] },
          spec: { ...now.spec, volumeName: name },
        },
    )
  }

  /** The node of the claim's volume; undefined while it has none. */
  nodeOf({ spec }: PersistentVolumeClaim): string | undefined {
    const volume = this.#volumeOf(spec?.volumeName)
    const [term] = volume?.spec?.nodeAffinity?.required?.nodeSelectorTerms ?? []
    return term?.matchExpressions?.[0]?.values?.[0]
  }

  /** The disk of the broker whose claim it is, and the first run on it: this one, where there was none. */
  diskOf(claim: ObjectKey, run: number): { readonly id: string; readonly since: number } {
    const id = this.#kube.peek(persistentVolumeClaims, claim)?.spec?.volumeName ?? ''
    const since = this.#since.get(id) ?? run
    this.#since.set(id, since)
    return { id, since }
  }

  /** Whether what a broker had in sync in this run can still be read, or could be if its node answered. */
  holds(claim: ObjectKey, run: number): boolean {
    const there = this.#kube.peek(persistentVolumeClaims, claim)
    const name = there?.spec?.volumeName
    const node = there && this.nodeOf(there)
    const hasNode = node !== undefined && this.#kube.peek(nodes, { namespace: '', name: node }) !== undefined
    return hasNode && run >= (this.#since.get(name ?? '') ?? Infinity)
  }

  /** Empties the volume behind the claim, as a disk that was exchanged. */
  wipe(volumeName: string): void {
    this.#since.delete(volumeName)
  }

  tick(): void {
    const claims = this.#kube.peekAll(persistentVolumeClaims)
    const uids = new Set(claims.map(({ metadata }) => metadata.uid))
    for (const claim of claims) {
      const { volumeName } = claim.spec ?? {}
      if (volumeName !== undefined && claim.status?.phase !== 'Lost' && !this.#volumeOf(volumeName))
        this.#kube.setStatus(persistentVolumeClaims, keyOf(claim), { ...claim.status, phase: 'Lost' })
      if (claim.metadata.deletionTimestamp !== undefined && !this.#isUsed(claim)) this.#release(claim)
    }
    for (const volume of this.#kube.peekAll(persistentVolumes)) {
      const { claimRef, persistentVolumeReclaimPolicy: policy } = volume.spec ?? {}
      if (uids.has(claimRef?.uid) || volume.status?.phase === 'Released') continue
      const key = { namespace: '', name: volume.metadata.name }
      // Who would delete it is on its node.
      const node =
        volume.spec?.nodeAffinity?.required?.nodeSelectorTerms[0]?.matchExpressions?.[0]?.values?.[0]
      const isThere = this.#kube.peek(nodes, { namespace: '', name: node ?? '' }) !== undefined
      if (policy === 'Delete' && isThere) this.#kube.set(persistentVolumes, key, () => undefined)
      else this.#kube.setStatus(persistentVolumes, key, { phase: 'Released' })
    }
  }

  #volumeOf(name: string | undefined): PersistentVolume | undefined {
    return name === undefined ? undefined : this.#kube.peek(persistentVolumes, { namespace: '', name })
  }

  #isUsed({ metadata }: PersistentVolumeClaim): boolean {
    return this.#kube
      .peekAll(pods)
      .some(
        ({ spec }) =>
          spec?.nodeName !== undefined &&
          spec.volumes?.some(volume => volume.persistentVolumeClaim?.claimName === metadata.name),
      )
  }

  #release(claim: PersistentVolumeClaim): void {
    this.#kube.set(persistentVolumeClaims, keyOf(claim), now => {
      if (now === undefined) return undefined
      const { apiVersion, kind, metadata, spec } = now
      return { apiVersion, kind, metadata: { ...metadata, finalizers: [] }, ...(spec && { spec }) }
    })
  }
}

const keyOf = ({ metadata }: KubeObject): ObjectKey => ({
  namespace: metadata.namespace ?? '',
  name: metadata.name,
})
