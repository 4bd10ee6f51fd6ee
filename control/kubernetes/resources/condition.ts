/** Kubernetes' meta/v1 Condition. */
export type Condition = {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly observedGeneration?: number
  /** RFC 3339; when `status` last changed. */
  readonly lastTransitionTime: string
  /** One word in CamelCase. */
  readonly reason: string
  /** What it is and what to do about it. */
  readonly message: string
}
