# A client in its own process: `python3 confluent.py COMMAND TOPIC CONFIGURATION`, where the last is JSON with librdkafka's
# names. Commands: member, produce, consume, admin, transactions. See clients.ts for what each prints.
import json
import signal
import sys

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigEntry, ConfigResource, AlterConfigOpType, NewPartitions, NewTopic

command, topic, configuration = sys.argv[1:]
config = json.loads(configuration)
left = config.pop("count", 0)


def show(**what):
    print(json.dumps(what, ensure_ascii=False), flush=True)


def text(value):
    return None if value is None else value.decode()


def messages():
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    consumer = Consumer(config)
    consumer.subscribe([topic])
    while not stop:
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error():
            if message.error().fatal():
                raise KafkaException(message.error())
            print(message.error(), file=sys.stderr)
            continue
        yield message
    consumer.close()


def member():
    for message in messages():
        print(message.partition(), message.offset(), text(message.value()), flush=True)


def consume():
    global left
    for message in messages():
        headers = ",".join(f"{name}={text(value)}" for name, value in message.headers() or [])
        show(partition=message.partition(), offset=message.offset(), timestampMs=message.timestamp()[1],
             key=text(message.key()), value=text(message.value()), headers=headers)
        left -= 1
        if left == 0:
            signal.raise_signal(signal.SIGTERM)


def produce():
    delivered = []
    producer = Producer(config)
    for line in sys.stdin:
        key, value = line.rstrip("\n").split("\t")
        producer.produce(topic, value, key, headers={"source": "test", "place": "石"},
                         on_delivery=lambda error, message: delivered.append(message) if error is None else None)
        producer.poll(0)
    producer.flush()
    show(delivered=len(delivered))


def done(futures):
    for future in futures.values():
        future.result()


def admin():
    client = AdminClient(config)

    def there():
        return topic in client.list_topics().topics

    def ends():
        consumer = Consumer({**config, "group.id": topic})
        low_high = [consumer.get_watermark_offsets(TopicPartition(topic, partition)) for partition in (0, 1)]
        consumer.close()
        return [f"{low}-{high}" for low, high in low_high]

    done(client.create_topics([NewTopic(topic, 2, 1, config={"retention.ms": "3600000"})]))
    show(listed=there())
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[
        ConfigEntry("segment.bytes", "2097152", incremental_operation=AlterConfigOpType.SET)])
    done(client.incremental_alter_configs([resource]))
    entries = client.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)])
    found = next(iter(entries.values())).result()
    show(config=[found[name].value for name in ("retention.ms", "segment.bytes")])
    producer = Producer(config)
    for n in range(3):
        producer.produce(topic, f"value {n}", partition=0)
    producer.flush()
    show(offsets=ends())
    done(client.delete_records([TopicPartition(topic, 0, 2)]))
    show(offsets=ends())

    committed = ConsumerGroupTopicPartitions(topic, [TopicPartition(topic, 0, 3)])
    done(client.alter_consumer_group_offsets([committed]))
    listed = client.list_consumer_groups().result()
    show(groups=[group.state.name for group in listed.valid if group.group_id == topic])
    answered = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(topic)])[topic].result()
    show(committed=[[one.partition, one.offset] for one in answered.topic_partitions])
    done(client.delete_consumer_groups([topic]))
    show(groups=[group.group_id for group in client.list_consumer_groups().result().valid if group.group_id == topic])

    done(client.create_partitions([NewPartitions(topic, 4)]))
    show(partitions=len(client.list_topics(topic).topics[topic].partitions))
    done(client.delete_topics([topic]))
    show(listed=there())


def transactions():
    producer = Producer({**config, "transactional.id": topic})
    producer.init_transactions(30)
    show(begun=True)


{"member": member, "produce": produce, "consume": consume, "admin": admin, "transactions": transactions}[command]()
