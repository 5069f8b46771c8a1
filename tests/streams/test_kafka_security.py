"""Login to Kafka with TLS, SCRAM and certificates, on Apache Kafka with an authorizer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError

from agents.settings import Settings
from deploy.doctor import check_kafka
from streams.access import kafka_grants
from streams.kafka_login import KafkaAway, LoginRejected, check_login
from streams.kafka_security import KafkaSecurity
from streams.site_claim import PrefixTaken, claim_prefix
from streams.tls import TlsFiles
from streams.topics import Topics, ensure_topics, topic_partitions
from tests.brokers import START_S
from tests.certificates import Authority
from tests.deploy.command import MISSING, gem_bedside
from tests.secured_kafka import SecuredKafka

SECRET = "s3cret-of-the-monitor"


@pytest.fixture(scope="module")
def secured(kafka_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with SecuredKafka(kafka_home, tmp_path_factory.mktemp("secured-kafka")) as broker:
        yield broker


@pytest.mark.parametrize(
    "values",
    [
        {"protocol": "SASL_SSL"},
        {"protocol": "SASL_SSL", "username": "monitor"},
        {"protocol": "SSL", "username": "monitor"},
        {"protocol": "PLAINTEXT", "tls": TlsFiles(ca=Path("ca.pem"))},
    ],
)
def test_a_login_that_does_not_fit_its_protocol_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"SASL_SSL|PLAINTEXT|SSL"):
        KafkaSecurity(**values)  # type: ignore[arg-type]


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
async def test_both_clients_log_in_over_tls(mechanism: str, secured: SecuredKafka, topic_prefix: str) -> None:
    # Given a user of each mechanism, which may write to one topic
    topics = Topics(topic_prefix, partitions=1)
    ensure_topics(secured.address, topics)
    user = "plain" if mechanism == "PLAIN" else f"telemetry-{mechanism[-3:]}"
    if mechanism == "PLAIN":
        file = secured.folder / "plain.password"
        file.write_text("plain-secret")
    else:
        file = secured.add_user(user, SECRET, mechanism)  # type: ignore[arg-type]
    secured.allow(user, kafka_grants("telemetry", topics, "main"))
    options = secured.login(user, file, mechanism).client_options()  # type: ignore[arg-type]
    # When kafka-python and aiokafka write with it
    client = KafkaProducer(bootstrap_servers=secured.sasl_ssl, **options)
    first = client.send(topics.windows, b"1").get(30)
    async with AIOKafkaProducer(bootstrap_servers=secured.sasl_ssl, **options) as producer:
        second = await producer.send_and_wait(topics.windows, b"2")
    # Then both have written, and to no other topic
    assert (first.offset, second.offset) == (0, 1)
    with pytest.raises(KafkaError, match="TopicAuthorizationFailed"):
        client.send(topics.alerts, b"x").get(30)
    client.close()


@pytest.mark.kafka
def test_a_client_is_its_certificate(secured: SecuredKafka, topic_prefix: str) -> None:
    topics = Topics(topic_prefix, partitions=1)
    ensure_topics(secured.address, topics)
    own = secured.authority.issue("gateway")
    secured.allow("CN=gateway", kafka_grants("telemetry", topics, "main"))
    login = KafkaSecurity("SSL", tls=secured.authority.files(own))
    assert topic_partitions(secured.ssl, topics.names, **login.client_options()) == dict.fromkeys(topics.names, 1)
    # A certificate of another authority, and none, are refused
    foreign = Authority(secured.folder / "foreign").issue("gateway")
    for tls in (TlsFiles(secured.authority.ca, foreign.cert, foreign.key), secured.authority.files()):
        options = KafkaSecurity("SSL", tls=tls).client_options()
        with pytest.raises(KafkaError):
            KafkaAdminClient(bootstrap_servers=secured.ssl, bootstrap_timeout_ms=2000, **options)


@pytest.mark.kafka
def test_a_wrong_password_is_named_and_not_printed(secured: SecuredKafka, tmp_path: Path) -> None:
    secured.add_user("monitor", SECRET)
    wrong = tmp_path / "password"
    wrong.write_text("wr0ng-password")
    settings = secured.settings(secured.login("monitor", wrong))
    ran = gem_bedside("topics", **settings)
    assert ran.status == MISSING
    assert "as monitor (SaslAuthenticationFailed)" in ran.err and "_PASSWORD_FILE" in ran.err
    assert "wr0ng" not in ran.err
    # And the doctor says no, with the user's name
    check = check_kafka(Settings(**settings))  # type: ignore[arg-type]
    assert not check.ok
    assert "as monitor (SaslAuthenticationFailed)" in check.detail
    assert "wr0ng" not in check.detail


@pytest.mark.kafka
async def test_a_rotated_password_is_read_by_the_next_connection(
    secured: SecuredKafka, topic_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    # Given the options of a client, made once
    topics = Topics(topic_prefix, partitions=1)
    ensure_topics(secured.address, topics)
    file = secured.add_user("rotating", "first-password")
    secured.allow("rotating", kafka_grants("telemetry", topics, "main"))
    caplog.set_level(logging.DEBUG)
    options = secured.login("rotating", file).client_options()
    # When the password changes in Kafka and in the file
    secured.add_user("rotating", "second-password")
    # Then the next connection of both clients has the new one, and no log has either
    client = KafkaProducer(bootstrap_servers=secured.sasl_ssl, **options)
    client.send(topics.windows, b"1").get(30)
    client.close()
    async with AIOKafkaProducer(bootstrap_servers=secured.sasl_ssl, **options) as producer:
        await producer.send_and_wait(topics.windows, b"2")
    assert "first-password" not in caplog.text
    assert "second-password" not in caplog.text


@pytest.mark.slow
@pytest.mark.kafka
async def test_clients_go_on_when_password_and_certificates_change_under_them(
    secured: SecuredKafka, topic_prefix: str
) -> None:
    # Given two clients that are connected
    topics = Topics(topic_prefix, partitions=1)
    ensure_topics(secured.address, topics)
    file = secured.add_user("rotating", "first-password")
    secured.allow("rotating", kafka_grants("telemetry", topics, "main"))
    options = secured.login("rotating", file).client_options()
    old = KafkaProducer(bootstrap_servers=secured.sasl_ssl, **options)
    old.send(topics.windows, b"before").get(30)
    async with AIOKafkaProducer(bootstrap_servers=secured.sasl_ssl, **options) as producer:
        await producer.send_and_wait(topics.windows, b"before")
        # When the password changes, the broker restarts with a certificate of a new authority, and all files change
        secured.add_user("rotating", "second-password")
        node = secured.nodes[0]
        node.stop()  # in this thread: a server ends with the thread that started it
        new = Authority(secured.folder / "new-authority")
        new.issue("broker").bundle(secured.folder / "broker-bundle.pem")
        secured.authority.ca.write_bytes(new.ca.read_bytes())
        node.launch()
        node.wait_ready(START_S)
        # Then both go on, without having been made anew
        sent = await asyncio.to_thread(lambda: old.send(topics.windows, b"after").get(60))
        assert sent.offset >= 2
        assert (await producer.send_and_wait(topics.windows, b"after")).offset >= 3
    old.close()


@pytest.mark.kafka
def test_topics_are_claimed_by_one_site(secured: SecuredKafka, topic_prefix: str) -> None:
    topics = Topics(topic_prefix, partitions=1)
    ensure_topics(secured.address, topics)
    claim_prefix(secured.address, topics, "north")
    claim_prefix(secured.address, topics, "north")  # a second worker of the site
    with pytest.raises(PrefixTaken, match="belong to the site north"):
        claim_prefix(secured.address, topics, "south")
    claim_prefix(secured.address, topics, "south", take_over=True)
    with pytest.raises(PrefixTaken, match="belong to the site south"):
        claim_prefix(secured.address, topics, "north")


@pytest.mark.kafka
def test_each_refused_login_says_why(secured: SecuredKafka) -> None:
    foreign = Authority(secured.folder / "other")
    for address, login, says in (
        (secured.sasl_ssl, KafkaSecurity(), "answers no PLAINTEXT"),
        (secured.ssl, KafkaSecurity("SSL", tls=TlsFiles(ca=foreign.ca)), "self-signed|unable to get|issuer"),
        (secured.address, KafkaSecurity("SSL", tls=secured.authority.files()), "no TLS|answers no SSL"),
    ):
        with pytest.raises(LoginRejected, match=says):
            check_login(address, login)
    with pytest.raises(KafkaAway):
        check_login("127.0.0.1:1", KafkaSecurity())
