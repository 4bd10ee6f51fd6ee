import { brokerId } from '../../../../base/quantities.ts'
import { Refusal } from '../../../../base/refusals.ts'
import { isMoving } from '../../../../control/moves.ts'
import { alterPartitionReassignments } from '../../../../protocol/kafka/apis/alter-partition-reassignments.ts'
import { listPartitionReassignments } from '../../../../protocol/kafka/apis/list-partition-reassignments.ts'
import type { RequestOf } from '../../../../protocol/kafka/schema.ts'
import { failureOf, plain, repeated, type Call, type Desk, type Failure, type Handler } from './handler.ts'

type Asked = RequestOf<typeof alterPartitionReassignments>['topics'][number]

const fine = { errorCode: 0, errorMessage: null }

export const alterPartitionReassignmentsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    alterPartitionReassignments,
    async ({ topics, allowReplicationFactorChange }, call) => {
      const responses = []
      for (const topic of topics) responses.push(await move(desk, call, topic, allowReplicationFactorChange))
      return { allowReplicationFactorChange, ...fine, responses }
    },
    (failure, { allowReplicationFactorChange }) => ({
      allowReplicationFactorChange,
      ...failure,
      responses: [],
    }),
  )

async function move({ router }: Desk, call: Call, { name, partitions }: Asked, mayResize: boolean) {
  const refuse = (error: unknown): Failure => failureOf(error, call, 'AlterPartitionReassignments')
  const topic = router.topics().get(name)
  const twice = repeated(partitions.map(({ partitionIndex }) => partitionIndex))
  const wanted = partitions
    .filter(({ partitionIndex }) => !twice.has(partitionIndex))
    .map(({ partitionIndex, replicas }) => ({
      partition: partitionIndex,
      target: replicas?.every(id => id >= 0) === false ? [] : replicas?.map(brokerId),
      mayResize,
    }))
  const answers = async (): Promise<(partition: number) => Failure | typeof fine> => {
    try {
      if (topic === undefined)
        throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${JSON.stringify(name)}`)
      const refused = await router.moveReplicas(topic, wanted)
      return partition => {
        if (twice.has(partition))
          return refuse(new Refusal('INVALID_REQUEST', `partition ${partition} is to move twice`))
        const refusal = refused.get(partition)
        return refusal === undefined ? fine : refuse(refusal)
      }
    } catch (error) {
      const failure = refuse(error)
      return () => failure
    }
  }
  const answerOf = await answers()
  return {
    name,
    partitions: [...new Set(partitions.map(({ partitionIndex }) => partitionIndex))].map(partitionIndex => ({
      partitionIndex,
      ...answerOf(partitionIndex),
    })),
  }
}

export const listPartitionReassignmentsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    listPartitionReassignments,
    ({ topics: asked }) => {
      const known = desk.router.topics()
      const names = asked === null ? [...known.keys()] : [...new Set(asked.map(({ name }) => name))]
      const topics = names.flatMap(name => {
        const wanted = asked?.filter(one => one.name === name).flatMap(one => one.partitionIndexes)
        const partitions = (known.get(name)?.tablets ?? []).flatMap((tablet, partitionIndex) => {
          if (!isMoving(tablet) || wanted?.includes(partitionIndex) === false) return []
          const { replicas, adding, removing } = tablet
          return [
            {
              partitionIndex,
              replicas: [...replicas],
              addingReplicas: [...adding],
              removingReplicas: [...removing],
            },
          ]
        })
        return partitions.length === 0 ? [] : [{ name, partitions }]
      })
      return { ...fine, topics }
    },
    failure => ({ ...failure, topics: [] }),
  )
