import { describeLogDirs } from '../../../../protocol/kafka/apis/describe-log-dirs.ts'
import { plain, type Desk, type Handler } from './handler.ts'

/** One data directory a broker: `results` has one entry. */
export const describeLogDirsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    describeLogDirs,
    request => {
      const directory = desk.router.logDirectory()
      const asked =
        request.topics === null
          ? undefined
          : new Map(request.topics.map(({ topic, partitions }) => [topic, new Set(partitions)]))
      const topics = new Map<string, { partitionIndex: number; partitionSize: number; offsetLag: number }[]>()
      for (const { topic, partition, sizeBytes, lag } of directory.tablets) {
        if (asked !== undefined && asked.get(topic)?.has(partition) !== true) continue
        const partitions = topics.get(topic) ?? []
        partitions.push({ partitionIndex: partition, partitionSize: sizeBytes, offsetLag: lag })
        topics.set(topic, partitions)
      }
      return {
        results: [
          {
            errorCode: 0,
            logDir: directory.path,
            topics: [...topics].map(([name, partitions]) => ({
              name,
              partitions: partitions.map(sizes => ({ ...sizes, isFutureKey: false })),
            })),
            totalBytes: directory.totalBytes,
            usableBytes: directory.freeBytes,
          },
        ],
      }
    },
    ({ errorCode }) => ({ errorCode, results: [] }),
  )
