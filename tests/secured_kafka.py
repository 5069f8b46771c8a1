"""Apache Kafka with TLS, SASL and an authorizer, beside a plain listener for the tests' own administration.

| listener | clients |
|---|---|
| plain | super user: makes topics, users and ACLs |
| `sasl_ssl` | SCRAM or PLAIN over TLS |
| `ssl` | certificates (mTLS) |
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.admin import UserScramCredentialUpsertion as ScramUser

from deploy.local import free_port
from streams.access import KafkaGrant
from streams.kafka_security import KafkaSecurity, Mechanism
from tests.agents.stack import until
from tests.brokers import ApacheKafka
from tests.certificates import Authority

OPERATIONS = {
    "Read": ACLOperation.READ,
    "Write": ACLOperation.WRITE,
    "Create": ACLOperation.CREATE,
    "Describe": ACLOperation.DESCRIBE,
    "DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS,
}


class SecuredKafka(ApacheKafka):
    """One node; ``folder/client-ca.pem`` is what clients trust."""

    def __init__(self, home: Path, folder: Path) -> None:
        super().__init__(home, folder)
        self.authority = Authority(folder / "authority")
        self.identity = self.authority.issue("broker")
        self.sasl_ssl, self.ssl = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        store = self.identity.bundle(folder / "broker-bundle.pem")
        own = self.nodes[0].port
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_plain="plain-secret";'
        listeners = f"PLAINTEXT://127.0.0.1:{own},SASL_SSL://{self.sasl_ssl},SSL://{self.ssl}"
        settings = {
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{own + 1}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.ca),
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
            "listener.name.sasl_ssl.plain.sasl.jaas.config": plain,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
        for name, value in settings.items():
            self.nodes[0].command += ["--set", f"{name}={value}"]

    def add_user(self, name: str, password: str, mechanism: Mechanism = "SCRAM-SHA-512") -> Path:
        """Create a user, or give it a new password; the file with the password."""
        with KafkaAdminClient(bootstrap_servers=self.address) as admin:
            answer = admin.alter_user_scram_credentials([ScramUser(name, mechanism, password)])
            assert not any(answer.values()), answer
            until(lambda: admin.describe_user_scram_credentials([name])[name]["credential_infos"], 10, f"user {name}")
        file = self.folder / f"{name}.password"
        file.write_text(f"{password}\n")
        return file

    def allow(self, principal: str, grants: Iterable[KafkaGrant]) -> None:
        """Add ACLs, and wait until the broker's authorizer has them: the answer comes from the controller, before."""
        acls = []
        for grant in grants:
            kind = ResourceType.TOPIC if grant.resource == "topic" else ResourceType.GROUP
            how = ACLResourcePatternType.PREFIXED if grant.prefixed else ACLResourcePatternType.LITERAL
            acls.append(
                ACL(f"User:{principal}", "*", OPERATIONS[grant.operation], ACLPermissionType.ALLOW,
                    ResourcePattern(kind, grant.name, how))
            )  # fmt: skip
        every = ACLFilter(
            f"User:{principal}", None, ACLOperation.ANY, ACLPermissionType.ANY,
            ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
        )  # fmt: skip
        with KafkaAdminClient(bootstrap_servers=self.address) as admin:
            answer = admin.create_acls(acls)
            assert not answer["failed"], answer
            until(lambda: set(acls) <= set(admin.describe_acls(every)[0]), 10, f"ACLs of {principal}")

    def login(self, user: str, password: Path, mechanism: Mechanism = "SCRAM-SHA-512") -> KafkaSecurity:
        """Login of a user over TLS."""
        return KafkaSecurity("SASL_SSL", mechanism, user, password, self.authority.files())

    def settings(self, login: KafkaSecurity) -> dict[str, object]:
        """The settings of a program with this login, without their prefix."""
        tls = login.tls
        values: dict[str, object] = {
            "kafka": self.sasl_ssl if login.sasl else self.ssl,
            "kafka_protocol": login.protocol,
            "kafka_ca_file": tls.ca,
        }
        if login.sasl:
            values |= {"kafka_mechanism": login.mechanism, "kafka_username": login.username}
            values |= {"kafka_password_file": login.password_file}
        return values | ({"kafka_cert_file": tls.cert, "kafka_key_file": tls.key} if tls.cert else {})
