import type { Condition } from '../../control/kubernetes/resources/condition.ts'

export type Judgement = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>

const messageMax = 8_000

/** `judgements` as conditions; when a status last changed is taken over from `before`. */
export const conditionsOf = (
  before: readonly Condition[] | undefined,
  judgements: readonly Judgement[],
  at: { readonly generation: number | undefined; readonly nowMs: number },
): Condition[] =>
  judgements.map(({ type, status, reason, message }) => {
    const old = before?.find(one => one.type === type)
    const since = old?.status === status ? old.lastTransitionTime : secondsText(at.nowMs)
    return {
      type,
      status,
      ...(at.generation !== undefined && { observedGeneration: at.generation }),
      lastTransitionTime: since,
      reason,
      message: message.length > messageMax ? `${message.slice(0, messageMax)}…` : message,
    }
  })

/** RFC 3339 as meta/v1 Time has it: whole seconds. */
export const secondsText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`
