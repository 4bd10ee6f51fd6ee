// Enters: versions. Leaves: directories of static programs, built from the Go module proxy.
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { go } from './go.ts'
import { versions } from './layout.ts'

const kubernetesPrograms = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
]

const stripped = '-s -w'

/** The directory with Kubernetes' own programs. */
export const kubernetes = (): Promise<string> =>
  cached(`kubernetes-${versions.kubernetes}`, async directory => {
    const version = `v${versions.kubernetes}`
    await writeGoModule(directory, version)
    const gitVersion = `-X k8s.io/component-base/version.gitVersion=${version}`
    const packages = kubernetesPrograms.map(name => `k8s.io/kubernetes/cmd/${name}`)
    const args = ['build', '-ldflags', `${stripped} ${gitVersion}`, '-o', `${directory}/`, ...packages]
    await go(args, directory)
    for (const file of ['go.mod', 'go.sum']) await rm(join(directory, file))
  })

/**
 * A module that builds what `k8s.io/kubernetes` would build at home. There its parts stand beside it, in `staging`; published
 * they are modules with a version of their own. All else stays as its own go.mod and go.sum say.
 */
async function writeGoModule(directory: string, version: string): Promise<void> {
  const answer = await go(['mod', 'download', '-json', `k8s.io/kubernetes@${version}`], directory)
  const { GoMod: goMod, Dir: source } = JSON.parse(answer) as { GoMod: string; Dir: string }
  const partVersion = version.replace(/^v1/, 'v0')
  const text = (await readFile(goMod, 'utf8'))
    .replace(/^module .*$/m, 'module rig')
    .replaceAll(/=> \.\/staging\/src\/(\S+)/g, `=> $1 ${partVersion}`)
  await writeFile(join(directory, 'go.mod'), `${text}\nrequire k8s.io/kubernetes ${version}\n`)
  await writeFile(join(directory, 'go.sum'), await readFile(join(source, 'go.sum')))
}

type GoModule = {
  readonly Require: readonly { readonly Path: string; readonly Version: string }[]
  readonly Replace: readonly { readonly Old: { readonly Path: string } }[]
}

/**
 * The path of CoreDNS, built from a main program of our own, in Kubernetes' module and with that one's versions of all that they share: so most
 * of it has been compiled for Kubernetes already.
 */
export async function coredns(): Promise<string> {
  const directory = await cached(`coredns-${versions.coredns}`, async directory => {
    await writeGoModule(directory, `v${versions.kubernetes}`)
    const { Require, Replace } = JSON.parse(await go(['mod', 'edit', '-json'], directory)) as GoModule
    const replaced = new Set(Replace.map(({ Old }) => Old.Path))
    const shared = Require.filter(({ Path }) => !replaced.has(Path) && Path !== 'k8s.io/kubernetes')
    const held = shared.map(({ Path, Version }) => `-replace=${Path}=${Path}@${Version}`)
    const added = `-require=github.com/coredns/coredns@v${versions.coredns}`
    await go(['mod', 'edit', added, ...held], directory)
    await copyFile(join(import.meta.dirname, 'coredns.go'), join(directory, 'main.go'))
    await go(['build', '-ldflags', stripped, '-o', 'coredns'], directory)
  })
  return join(directory, 'coredns')
}

/** The path of Helm. */
export const helm = (): Promise<string> => install('helm', `helm.sh/helm/v4/cmd/helm@v${versions.helm}`)

/** The path of the Prometheus Operator's definition of PodMonitors, as it is published. */
export async function podMonitors(): Promise<string> {
  const file = 'monitoring.coreos.com_podmonitors.yaml'
  const directory = await cached(`prometheus-operator-${versions.prometheusOperator}`, async directory => {
    const module = `github.com/prometheus-operator/prometheus-operator@v${versions.prometheusOperator}`
    const { Dir: source } = JSON.parse(await go(['mod', 'download', '-json', module], directory)) as {
      Dir: string
    }
    await copyFile(join(source, 'example/prometheus-operator-crd', file), join(directory, file))
  })
  return join(directory, file)
}

/** The path of kind. */
export const kind = (): Promise<string> => install('kind', `sigs.k8s.io/kind@v${versions.kind}`)

async function install(name: 'helm' | 'kind', module: string): Promise<string> {
  const directory = await cached(`${name}-${versions[name]}`, async directory => {
    await go(['install', '-ldflags', stripped, module], directory, { GOBIN: directory })
  })
  return join(directory, name)
}
