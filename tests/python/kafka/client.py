"""A client of Kafka that knows nothing of Rettidig but its contract: topics, JSON, dead letters, metrics.

It produces official figures and something that is none to the topics of a running pipeline, reads them back as they
were sent, finds the broken one among the dead letters with its bytes, and the good ones in the published gauges. It
shares no code with the pipeline: kafka-python speaks the protocol by itself.

    scripts/python.sh tests/python/kafka/client.py --brokers HOST:PORT --metrics http://HOST:PORT/metrics
    (with RETTIDIG_REQUIREMENTS=tests/python/kafka/requirements.txt)
"""

from __future__ import annotations

import argparse
import base64
import json
import time
import urllib.request

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

OFFICIAL = "rettidig.official"
DEAD_LETTER = "rettidig.dead-letter"
SECONDS_MAX = 90
BROKEN = b"<html><body>Log in</body></html>"
VALUES = {851: 4876, 101: 12345}


def event(area: int, value: int) -> bytes:
    fields = {
        "publisher": "jobindsats", "table": "y25i01", "measure": "full_time_unemployed", "area": area,
        "period": "2026M07", "breakdown": {}, "value": str(value), "status": "final",
        "published_at": "2026-08-19T06:00:00Z", "retrieved_at": "2026-08-19T07:00:00Z",
    }
    return json.dumps(fields).encode()


def read(brokers: str, topic: str, enough) -> list[bytes]:
    """Everything on a topic, until `enough` says so."""
    consumer = KafkaConsumer(bootstrap_servers=brokers, enable_auto_commit=False, auto_offset_reset="earliest")
    numbers = consumer.partitions_for_topic(topic)
    assert numbers, f"there is no topic {topic}"
    places = [TopicPartition(topic, number) for number in sorted(numbers)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    values: list[bytes] = []
    deadline = time.monotonic() + SECONDS_MAX
    while not enough(values):
        assert time.monotonic() < deadline, f"{topic}: {len(values)} messages came, not what was waited for"
        for messages in consumer.poll(timeout_ms=500).values():
            values += [message.value for message in messages]
    consumer.close()
    return values


def shown(url: str) -> dict[str, float]:
    """The gauges of the indicator by municipality."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    wanted = ("rettidig_indicator_value{", 'indicator="full_time_unemployed"', 'area_kind="municipality"')
    values = {}
    for line in lines:
        if all(part in line for part in wanted) and 'benefit="total"' in line:
            values[line.split('area="')[1].split('"')[0]] = float(line.rsplit(" ", 1)[1])
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--metrics", required=True)
    options = parser.parse_args()

    sent = [event(area, value) for area, value in VALUES.items()] + [BROKEN]
    producer = KafkaProducer(bootstrap_servers=options.brokers, acks="all", compression_type="gzip")
    placed = [producer.send(OFFICIAL, value=value, key=b"y25i01").get(timeout=30) for value in sent]
    producer.close()

    received = read(options.brokers, OFFICIAL, lambda values: set(sent) <= set(values))
    assert sorted(received) == sorted(sent), received

    def letters(values: list[bytes]) -> list[dict]:
        return [json.loads(value) for value in values]

    buried = letters(read(options.brokers, DEAD_LETTER, lambda values: len(values) >= 1))
    assert len(buried) == 1, buried
    letter = buried[0]
    assert letter["reason"] == "malformed_json", letter
    assert base64.b64decode(letter["bytes"]) == BROKEN, letter
    where = {"topic": OFFICIAL, "partition": placed[-1].partition, "offset": placed[-1].offset}
    assert where.items() <= letter.items(), (letter, where)

    expected = {f"{area:04}": float(value) for area, value in VALUES.items()}
    deadline = time.monotonic() + SECONDS_MAX
    while (found := shown(options.metrics)) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    print(f"ok: {len(sent)} records read back, 1 dead letter with its bytes, {len(found)} gauges")


if __name__ == "__main__":
    main()
