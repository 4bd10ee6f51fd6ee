import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import { type Access, podAccess } from '../../kube/access.ts'
import { ApiError, type KubeApi } from '../../kube/api.ts'
import { KubeClient } from '../../kube/client.ts'
import { Failure } from '../failure.ts'
import { versionText } from '../version.ts'

export type Where = {
  readonly kubeconfig?: string
  readonly context?: string
  readonly namespace?: string
  readonly allNamespaces?: true
}

export type Connection = {
  readonly api: KubeApi
  /** Undefined: all of them. */
  readonly namespace: string | undefined
  /** What a pod answers to a GET. */
  readonly askPod: KubeClient['askPod']
}

/** @throws Failure when it is not known how to reach a Kubernetes */
export async function connect(where: Where): Promise<Connection> {
  const access = await accessOf(where)
  const api = new KubeClient({ access, userAgent: `stele-cli/${versionText()}`, timeoutMs: 15_000 })
  return {
    api,
    askPod: (...asked) => api.askPod(...asked),
    namespace: where.allNamespaces ? undefined : (where.namespace ?? access.namespace),
  }
}

async function accessOf({ kubeconfig, context }: Where): Promise<Access> {
  if (kubeconfig !== undefined && !existsSync(kubeconfig))
    throw new Failure(
      `there is no kubeconfig ${kubeconfig}`,
      'Give --kubeconfig the path of one that is there.',
    )
  if (kubeconfig === undefined && !usualFiles().some(file => existsSync(file))) {
    const own = podAccess()
    if (own !== undefined) return own
    throw new Failure(
      'there is no kubeconfig, so no Kubernetes to ask',
      'Set KUBECONFIG, say --kubeconfig FILE, or have one in ~/.kube/config.',
    )
  }
  const { kubeConfigAccess } = await import('../../kube/kube-config.ts')
  try {
    return kubeConfigAccess({
      ...(kubeconfig === undefined ? {} : { file: kubeconfig }),
      ...(context === undefined ? {} : { context }),
    })
  } catch (error) {
    throw new Failure(
      error instanceof Error ? error.message : String(error),
      '`kubectl config get-contexts` lists what the kubeconfig has.',
    )
  }
}

function usualFiles(): string[] {
  const named = process.env['KUBECONFIG']
  if (named !== undefined && named !== '') return named.split(delimiter)
  return [join(homedir(), '.kube', 'config')]
}

/** What the API server said, as a sentence with a remedy. `what` is what was asked for. */
export function asFailure(error: unknown, what: string): unknown {
  if (!(error instanceof ApiError)) return error
  switch (error.code) {
    case 0:
      return new Failure(
        error.message,
        'Is it the right context? `kubectl cluster-info` asks the same server.',
      )
    case 401:
      return new Failure(
        'Kubernetes does not know who you are: it did not accept the credentials of the kubeconfig',
        'Log in again the way your platform asks for, then `kubectl auth whoami` must answer.',
      )
    case 403:
      return new Failure(
        error.message,
        `Ask for the right to list ${what}, or look where you have it with -n NAMESPACE.`,
      )
    case 404:
      return new Failure(
        `this Kubernetes has no ${what}: Stele is not installed there`,
        'Install its chart: helm install stele charts/stele -n stele-system --create-namespace',
      )
    default:
      return new Failure(`Kubernetes answered ${error.code}: ${error.message}`)
  }
}
