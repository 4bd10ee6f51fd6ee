# A client in its own process: `python3 kafka-python.py COMMAND TOPIC CONFIGURATION`, where the last is JSON with Kafka's
# names. Commands: member, produce, consume, admin, transactions. See clients.ts for what each prints.
import json
import signal
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import OffsetAndMetadata

command, topic, configuration = sys.argv[1:]
config = {name.replace(".", "_"): value for name, value in json.loads(configuration).items()}
left = config.pop("count", 0)
if config.get("partition_assignment_strategy") == "cooperative-sticky":
    config["partition_assignment_strategy"] = (CooperativeStickyAssignor,)


def show(**what):
    print(json.dumps(what, ensure_ascii=False), flush=True)


def text(value):
    return None if value is None else value.decode()


def messages():
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    consumer = KafkaConsumer(topic, **config)
    while not stop:
        for polled in consumer.poll(100).values():
            yield from polled
    consumer.close()


def member():
    for message in messages():
        print(message.partition, message.offset, text(message.value), flush=True)


def consume():
    global left
    for message in messages():
        headers = ",".join(f"{name}={text(value)}" for name, value in message.headers)
        show(partition=message.partition, offset=message.offset, timestampMs=message.timestamp,
             key=text(message.key), value=text(message.value), headers=headers)
        left -= 1
        if left == 0:
            signal.raise_signal(signal.SIGTERM)


def produce():
    producer = KafkaProducer(**config)
    headers = [("source", b"test"), ("place", "石".encode())]
    sent = []
    for line in sys.stdin:
        key, value = line.rstrip("\n").split("\t")
        sent.append(producer.send(topic, value.encode(), key.encode(), headers=headers))
    producer.flush()
    show(delivered=len([future.get() for future in sent]))


def admin():
    client = KafkaAdminClient(**config)

    def there():
        return topic in client.list_topics()

    def ends():
        consumer = KafkaConsumer(**config)
        partitions = [TopicPartition(topic, partition) for partition in (0, 1)]
        low, high = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        consumer.close()
        return [f"{low[one]}-{high[one]}" for one in partitions]

    client.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "3600000"})])
    client.wait_for_topics([topic])
    show(listed=there())
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, {"segment.bytes": "2097152"})
    client.alter_configs([resource])
    found = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])["topic"][topic]
    show(config=[found[name]["value"] for name in ("retention.ms", "segment.bytes")])
    producer = KafkaProducer(**config)
    for n in range(3):
        producer.send(topic, b"value", partition=0)
    producer.flush()
    show(offsets=ends())
    client.delete_records({TopicPartition(topic, 0): 2})
    show(offsets=ends())

    client.alter_group_offsets(topic, {TopicPartition(topic, 0): OffsetAndMetadata(3, "", -1)})

    def states():
        return [group["group_state"] for group in client.list_groups() if group["group_id"] == topic]

    show(groups=states())
    committed = client.list_group_offsets(topic)[topic]
    show(committed=[[one.partition, found.offset] for one, found in committed.items()])
    client.delete_groups([topic])
    show(groups=states())

    client.create_partitions({topic: 4})
    show(partitions=len(client.describe_topics([topic])[0]["partitions"]))
    client.delete_topics([topic])
    show(listed=there())


def transactions():
    producer = KafkaProducer(transactional_id=topic, **config)
    producer.init_transactions()
    show(begun=True)


{"member": member, "produce": produce, "consume": consume, "admin": admin, "transactions": transactions}[command]()
