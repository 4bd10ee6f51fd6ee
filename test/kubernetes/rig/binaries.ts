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
    await writeGoModule(directory)
    const gitVersion = `-X k8s.io/component-base/version.gitVersion=v${versions.kubernetes}`
    const packages = kubernetesPrograms.map(name => `k8s.io/kubernetes/cmd/${name}`)
    const args = ['build', '-ldflags', `${stripped} ${gitVersion}`, '-o', `${directory}/`, ...packages]
    await go(args, directory)
    for (const file of ['go.mod', 'go.sum']) await rm(join(directory, file))
  })

/** The path of CoreDNS, built from a main program of our own. */
export async function coredns(): Promise<string> {
  const directory = await cached(`coredns-${versions.coredns}`, async directory => {
    await writeGoModule(directory, { add: [`github.com/coredns/coredns@v${versions.coredns}`] })
    await copyFile(join(import.meta.dirname, 'coredns.go'), join(directory, 'main.go'))
    await go(['build', '-ldflags', stripped, '-o', 'coredns'], directory)
  })
  return join(directory, 'coredns')
}

/** The path of Helm. What it is told here, its own build tells it too: charts say for which versions of Kubernetes they are. */
export async function helm(): Promise<string> {
  const module = 'helm.sh/helm/v4'
  const directory = await cached(`helm-${versions.helm}`, async directory => {
    await writeGoModule(directory, {
      add: [`${module}@v${versions.helm}`],
      newer: { 'github.com/spf13/pflag': 'v1.0.10' },
    })
    const minor = versions.kubernetes.split('.')[1]
    const said = [
      `internal/version.version=v${versions.helm}`,
      ...['chart/common', 'chart/v2/lint/rules'].map(name => `pkg/${name}.k8sVersionMinor=${minor}`),
    ]
    const flags = [stripped, ...said.map(one => `-X ${module}/${one}`)].join(' ')
    await go(['build', '-ldflags', flags, '-o', 'helm', `${module}/cmd/helm`], directory)
  })
  return join(directory, 'helm')
}

type GoModule = {
  readonly Require: readonly { readonly Path: string; readonly Version: string }[]
  readonly Replace: readonly { readonly Old: { readonly Path: string } }[]
}

/**
 * A module that builds what `k8s.io/kubernetes` would build at home. There its parts stand beside it, in `staging`; published
 * they are modules with a version of their own. All else stays as its own go.mod and go.sum say, also for modules that are added: what
 * they share is compiled once. `newer` are those that have to be of another version for them.
 */
async function writeGoModule(
  directory: string,
  { add = [], newer = {} }: { add?: readonly string[]; newer?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const version = `v${versions.kubernetes}`
  const answer = await go(['mod', 'download', '-json', `k8s.io/kubernetes@${version}`], directory)
  const { GoMod: goMod, Dir: source } = JSON.parse(answer) as { GoMod: string; Dir: string }
  const partVersion = version.replace(/^v1/, 'v0')
  const text = (await readFile(goMod, 'utf8'))
    .replace(/^module .*$/m, 'module rig')
    .replaceAll(/=> \.\/staging\/src\/(\S+)/g, `=> $1 ${partVersion}`)
  await writeFile(join(directory, 'go.mod'), text)
  await writeFile(join(directory, 'go.sum'), await readFile(join(source, 'go.sum')))
  const { Require, Replace } = JSON.parse(await go(['mod', 'edit', '-json'], directory)) as GoModule
  const replaced = new Set(Replace.map(({ Old }) => Old.Path))
  const held = Require.filter(({ Path }) => !replaced.has(Path)).map(
    ({ Path, Version }) => `-replace=${Path}=${Path}@${newer[Path] ?? Version}`,
  )
  const required = [`k8s.io/kubernetes@${version}`, ...add].map(module => `-require=${module}`)
  await go(['mod', 'edit', ...held, ...required], directory)
}

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
export async function kind(): Promise<string> {
  const directory = await cached(`kind-${versions.kind}`, async directory => {
    const args = ['install', '-ldflags', stripped, `sigs.k8s.io/kind@v${versions.kind}`]
    await go(args, directory, { GOBIN: directory })
  })
  return join(directory, 'kind')
}
