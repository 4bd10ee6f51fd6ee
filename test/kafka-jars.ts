// Enters: names of artifacts on Maven Central. Leaves: paths of their jars in the checkout's cache, fetched when missing.
// Always holds: a folder in the cache is complete; several processes may ask at once.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

export const kafkaVersion = '4.3.1'

/** What came from Maven Central, and what was made of it. */
export const jarsFolder = resolve(import.meta.dirname, '../.cache/maven')
const copyDependencies = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'
const run = promisify(execFile)
const asked = new Map<string, Promise<string[]>>()

/** The path of one of Kafka's own jars, such as `kafka-clients`, without what it depends on. Needs `mvn` the first time. */
export async function kafkaJar(name: string): Promise<string> {
  const [jar] = await jars([`org.apache.kafka:${name}:${kafkaVersion}`], false)
  if (jar === undefined) throw new Error(`Maven gave no jar for ${name}`)
  return jar
}

/** The jars of `group:artifact:version` coordinates and of everything they need to run. Needs `mvn` the first time. */
export const mavenClasspath = (coordinates: string[]): Promise<string[]> => jars(coordinates, true)

function jars(coordinates: string[], transitive: boolean): Promise<string[]> {
  const key = createHash('sha256')
    .update(JSON.stringify([coordinates, transitive]))
    .digest('hex')
    .slice(0, 16)
  const known = asked.get(key) ?? fetchOnce(join(jarsFolder, key), coordinates, transitive)
  asked.set(key, known)
  return known
}

async function fetchOnce(folder: string, coordinates: string[], transitive: boolean): Promise<string[]> {
  const there = await access(folder).then(
    () => true,
    () => false,
  )
  if (!there) await fetchInto(folder, coordinates, transitive)
  const names = await readdir(folder)
  return names
    .filter(name => name.endsWith('.jar'))
    .sort()
    .map(name => join(folder, name))
}

async function fetchInto(folder: string, coordinates: string[], transitive: boolean): Promise<void> {
  await mkdir(jarsFolder, { recursive: true })
  const beside = await mkdtemp(`${folder}.`)
  try {
    const pom = join(beside, 'pom.xml')
    await writeFile(pom, project(coordinates))
    const goal = [copyDependencies, `-DoutputDirectory=${beside}`, `-DexcludeTransitive=${!transitive}`]
    await run('mvn', ['-q', '-B', '-f', pom, ...goal, '-DincludeScope=runtime'])
    await rename(beside, folder).catch(notWhenThere)
  } finally {
    await rm(beside, { recursive: true, force: true })
  }
}

/** Somebody else was faster; theirs is as good. */
function notWhenThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
}

function project(coordinates: string[]): string {
  const dependencies = coordinates.map(coordinate => {
    const [group, artifact, version] = coordinate.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`
  })
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>stele</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependencies.join('\n')}</dependencies></project>`
}
