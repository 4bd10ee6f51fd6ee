/** What the API server's answers mean to who asked. */
import { Refusal } from '../../base/refusals.ts'
import { ApiError } from '../../kube/api.ts'

/** What was asked of the API server, in the words of a Role: `patch logtopics`. */
export type Asked = { readonly verb: string; readonly resource: string; readonly namespace: string }

/** The server could not answer now, or not at all: the same may be asked again. */
export const mayPass = (error: unknown): boolean =>
  error instanceof ApiError && (!error.answered || error.code === 429 || error.code >= 500)

/** A sentence with the remedy for an answer that will not change by itself. */
export function sentence(error: ApiError, { verb, resource, namespace }: Asked): string {
  switch (error.code) {
    case 401:
      return `the API server does not know this pod's service account (${error.message}). Give the pod a ServiceAccount, with automountServiceAccountToken.`
    case 403:
      return `this pod's service account may not ${verb} ${resource} in namespace ${namespace} (${error.message}). Bind it to a Role that allows it; the operator makes one for each cluster.`
    case 404:
      return `the API server has no ${resource} in namespace ${namespace}. Install Stele's CustomResourceDefinitions and its operator (helm install), and check STELE_CLUSTER and POD_NAMESPACE.`
    default:
      return `the API server refused to ${verb} ${resource} in namespace ${namespace}: ${error.message}`
  }
}

/** For a write of a user: whatever was not carried out, or may not have been. */
export function refusalOf(error: unknown, asked: Asked): unknown {
  if (!(error instanceof ApiError)) return error
  if (mayPass(error)) {
    const message = `the API server has not answered whether it did ${asked.verb} ${asked.resource}: ${error.message}`
    return new Refusal('REQUEST_TIMED_OUT', message)
  }
  if (error.code === 422 || error.code === 400) return new Refusal('INVALID_REQUEST', error.message)
  return new Refusal('KAFKA_STORAGE_ERROR', sentence(error, asked))
}
