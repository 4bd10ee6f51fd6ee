import { logClusters } from '../control/kubernetes/resources/log-cluster.ts'
import { conditions, observedGeneration } from './condition.ts'
import { conditionPath, definition } from './definition.ts'
import {
  foreign,
  integer,
  integerOrText,
  list,
  object,
  oneOf,
  optional,
  record,
  scalar,
  text,
  yesOrNo,
} from './schema.ts'

/**
 * A StatefulSet `<cluster>-broker-<id>` labels its pods with its name and a hash of 10 characters, in at most 63; ids take up
 * to four. Services, which share the name, begin with a letter and have no dots.
 */
const clusterNameMax = 40
const brokersMax = 1000

const quantities = (description: string) => record(description, integerOrText('A quantity: 2, 500m, 4Gi.'))
const words = (description: string) => record(description, text('', { maxLength: 4096 }))

const storage = object(
  'The volume of each broker.',
  {
    size: text(
      'How large each volume is: 100Gi. It may grow, if the StorageClass allows it. What volumes could not grow to may be taken back; they never shrink: less than they have is reported in the condition Degraded and changes nothing.',
      {
        minLength: 1,
        maxLength: 32,
        rules: [
          {
            rule: "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
            message: 'spec.storage.size must be a quantity above zero: write it like 100Gi',
          },
        ],
      },
    ),
    storageClassName: optional(
      text(
        "Which StorageClass makes the volumes. Without it, the cluster's default one. It cannot change: volumes stay what they are.",
        { minLength: 1, maxLength: 253 },
      ),
    ),
  },
  {
    rules: [
      {
        rule: 'has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)',
        message:
          'spec.storage.storageClassName cannot change, volumes stay in their class: put it back, or make a new LogCluster in the other class',
      },
    ],
  },
)

const template = object("What brokers' pods have beside what the operator gives them.", {
  labels: optional(words('More labels.')),
  annotations: optional(words('More annotations.')),
  nodeSelector: optional(words('Labels of the nodes that brokers may run on.')),
  affinity: optional(
    foreign(
      "A pod's affinity, as in core/v1 Affinity. Brokers already keep away from each other's nodes where they can.",
    ),
  ),
  tolerations: optional(
    list('Taints that brokers put up with.', foreign('As in core/v1 Toleration.'), { maxItems: 64 }),
  ),
  topologySpreadConstraints: optional(
    list(
      'More ways to spread brokers; over zones and nodes they are spread anyway.',
      foreign('As in core/v1 TopologySpreadConstraint.'),
      { maxItems: 16 },
    ),
  ),
  priorityClassName: optional(text('Which PriorityClass brokers have.', { minLength: 1, maxLength: 253 })),
  imagePullSecrets: optional(
    list(
      'Secrets with which the image is pulled.',
      object('A Secret in the same namespace.', {
        name: text('Its name.', { minLength: 1, maxLength: 253 }),
      }),
      { maxItems: 16, unique: { by: 'name' } },
    ),
  ),
})

const listener = object(
  'A way in for clients outside of Kubernetes.',
  {
    type: oneOf(
      'NodePort: a port on every node, one a broker. LoadBalancer: a load balancer a broker, which the platform makes and bills.',
      ['NodePort', 'LoadBalancer'],
    ),
    host: optional(
      text(
        "The host that clients are told, instead of the node's or load balancer's address; {id} in it stands for the broker's id: broker-{id}.example.com.",
        {
          minLength: 1,
          maxLength: 253,
          rules: [
            {
              rule: "self.matches('^([A-Za-z0-9._:-]|[{]id[}])+$')",
              message:
                'host must be a host name or an address, without a port; only {id} may stand in it in braces',
            },
          ],
        },
      ),
    ),
    annotations: optional(words("Annotations of the brokers' Services, by which platforms take wishes.")),
  },
  {
    rules: [
      {
        rule: "self.type != 'LoadBalancer' || !has(self.host) || self.host.contains('{id}')",
        message: 'host must contain {id} with type LoadBalancer: each broker has an address of its own',
      },
    ],
  },
)

const spec = object('What the cluster shall be.', {
  brokers: integer(
    'How many brokers there are. `kubectl scale logcluster NAME --replicas=N` changes it too. Brokers that are too many are emptied before they go.',
    {
      default: 3,
      rules: [
        {
          rule: `self >= 1 && self <= ${brokersMax}`,
          message: `spec.brokers must be from 1 to ${brokersMax}: to stop a cluster and keep its data, delete it under deletionPolicy Retain and make it again later`,
        },
      ],
    },
  ),
  image: optional(
    text(
      "The image of the brokers. Without it they keep the one they have, that of status.image; a new cluster gets the operator's. So an upgrade of the operator does not change the brokers' version.",
      {
        minLength: 1,
        maxLength: 1024,
      },
    ),
  ),
  imagePullPolicy: optional(
    oneOf('When nodes pull the image. Without it, as Kubernetes decides by the tag.', [
      'Always',
      'IfNotPresent',
      'Never',
    ]),
  ),
  storage,
  config: optional(
    record(
      "Settings of the brokers, by Kafka's names: min.insync.replicas: 2. An unknown one is reported in the condition Degraded. What was changed with Kafka's own tools goes before it.",
      scalar('Text, a number, true or false.'),
    ),
  ),
  resources: optional(
    object('What each broker asks of its node, as in core/v1 ResourceRequirements.', {
      requests: optional(quantities('What a broker is sure to get: cpu, memory.')),
      limits: optional(quantities('What a broker never gets more of: cpu, memory.')),
    }),
  ),
  template: optional(template),
  listeners: optional(
    list('Ways in for clients outside of Kubernetes.', listener, {
      maxItems: 8,
      rules: [
        {
          rule: 'self.size() <= 1',
          message: 'spec.listeners takes at most one listener: keep the one that clients outside shall use',
        },
      ],
    }),
  ),
  deletionPolicy: oneOf(
    'What becomes of volumes, topics and records when the LogCluster is deleted. Retain: they stay, and a LogCluster of the same name takes them back. Delete: they go with it, if an operator sees it go and stele.dev/paused is not there; else they stay.',
    ['Retain', 'Delete'],
    { default: 'Retain' },
  ),
  replaceAfter: text('How long a broker may be gone before its copies are made again elsewhere: 5m, 1h30m.', {
    default: '5m',
    minLength: 2,
    maxLength: 32,
    rules: [
      {
        rule: "self.matches('^([0-9]+(h|m|s))+$') && duration(self) >= duration('1s')",
        message: 'spec.replaceAfter must be a time of at least 1s: write it like 5m or 1h30m',
      },
    ],
  }),
})

const brokerStatus = object('A broker.', {
  id: integer('Its number, on the Kafka wire too. It is never given to another broker.', { minimum: 0 }),
  pod: text('Its pod.'),
  zone: optional(text('The zone of its node: topology.kubernetes.io/zone.')),
  diskId: optional(text('The random id of what is on its volume.')),
  incarnation: optional(
    integer('How often it has started with these data.', { minimum: 0, format: 'int64' }),
  ),
  phase: oneOf('Where it stands.', ['Pending', 'Starting', 'Recovering', 'Running', 'Draining', 'Failed']),
  ready: yesOrNo('Whether it serves clients.'),
})

const tabletNumber = (description: string) => integer(description, { minimum: 0 })

const byteNumber = (description: string) => integer(description, { minimum: 0, format: 'int64' })

const status = object('What the cluster is, written by the operator.', {
  observedGeneration: optional(observedGeneration),
  conditions: optional(
    conditions(
      'Available (clients can use every tablet), Progressing (something is on its way to what spec asks for), Degraded (something is wrong that does not mend by itself or that costs safety)',
    ),
  ),
  replicas: optional(tabletNumber('How many brokers there are.')),
  readyReplicas: optional(tabletNumber('How many brokers serve clients.')),
  selector: optional(text("Labels of the brokers' pods.")),
  brokers: optional(
    list('The brokers, by id.', brokerStatus, { unique: { by: 'id' }, maxItems: 10 * brokersMax }),
  ),
  tablets: optional(
    object('How the tablets of all topics are.', {
      total: tabletNumber('How many there are.'),
      underReplicated: tabletNumber('How many have fewer copies in sync than they should have.'),
      offline: tabletNumber(
        'How many cannot be served: nobody leads them, or their broker is away or cannot use their files.',
      ),
      moving: tabletNumber('How many are on their way to other brokers.'),
    }),
  ),
  copying: optional(
    object('What is being copied: replicas that move, and those that catch up. Not there while nothing is.', {
      tablets: tabletNumber('How many tablets are being copied now.'),
      bytes: byteNumber(
        'All that is to be copied, with what is done, and with moves that have not begun yet.',
      ),
      bytesLeft: byteNumber('What is left of it.'),
      percent: integer('How much of it is done.', { minimum: 0 }),
      bytesPerSecond: byteNumber('By how much it lately became less.'),
      secondsLeft: optional(
        integer('How long that takes as things go now.', { minimum: 0, format: 'int64' }),
      ),
      progress: text('The same as a sentence.'),
      asOf: text('When brokers said so.'),
    }),
  ),
  bootstrap: optional(text('Where clients inside of Kubernetes begin: host:port.')),
  externalBootstrap: optional(
    text('Where clients outside begin: host:port of each broker, separated by commas.'),
  ),
  image: optional(
    text('The image that all brokers last were ready with; theirs for as long as spec.image is not set.'),
  ),
  clusterId: optional(text("Kafka's id of the cluster.")),
})

export const logCluster = object(
  'A cluster of brokers: a log that speaks Kafka and HTTP.',
  { spec, status: optional(status) },
  {
    rules: [
      {
        rule: `self.metadata.name.size() <= ${clusterNameMax} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')`,
        message: `metadata.name must begin with a letter, hold only a-z, 0-9 and -, and be at most ${clusterNameMax} characters long: pods, Services and labels are named after it`,
        fieldPath: '.metadata',
      },
    ],
  },
)

export const logClusterDefinition = definition({
  resource: logClusters,
  shortNames: ['lc'],
  schema: logCluster,
  columns: [
    { name: 'Brokers', type: 'integer', path: '.spec.brokers', description: 'How many there shall be.' },
    { name: 'Ready', type: 'integer', path: '.status.readyReplicas', description: 'How many serve clients.' },
    { name: 'Available', type: 'string', path: conditionPath('Available', 'status') },
    {
      name: 'Health',
      type: 'string',
      path: conditionPath('Degraded', 'reason'),
      description: 'The reason of the condition Degraded.',
    },
    { name: 'Tablets', type: 'integer', path: '.status.tablets.total' },
    { name: 'Progress', type: 'string', path: conditionPath('Progressing', 'reason'), wide: true },
    {
      name: 'Copying',
      type: 'string',
      path: '.status.copying.progress',
      description: 'How far replicas are that move or catch up.',
      wide: true,
    },
    { name: 'Under-replicated', type: 'integer', path: '.status.tablets.underReplicated', wide: true },
    { name: 'Offline', type: 'integer', path: '.status.tablets.offline', wide: true },
    { name: 'Bootstrap', type: 'string', path: '.status.bootstrap', wide: true },
  ],
  subresources: {
    status: {},
    scale: {
      specReplicasPath: '.spec.brokers',
      statusReplicasPath: '.status.replicas',
      labelSelectorPath: '.status.selector',
    },
  },
})
