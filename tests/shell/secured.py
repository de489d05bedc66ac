"""A broker that lets nobody in without TLS, with and without a password, and what opens it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives import serialization

from infra.embedded.kafka import EmbeddedKafka
from infra.processes import free_port, kept_port

OPERATOR = "operator"
USER, PASSWORD, KEY_PASSWORD = "evaluator", "correct horse, battery", "key to the key"
_JAAS = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Secured:
    """Addresses of one broker's listeners, and the files of a client, in PEM."""

    plain: str
    sasl_ssl: str
    sasl: str
    mutual: str
    ca: Path
    foreign_ca: Path
    certificate: Path
    key: Path

    def environ(
        self, protocol: str, mechanism: str = "", password: str = PASSWORD, user: str = USER
    ) -> dict[str, str]:
        """The settings by which a process is let in."""
        address = {"SSL": self.mutual, "SASL_SSL": self.sasl_ssl, "SASL_PLAINTEXT": self.sasl}
        told = {"EARNBACK_KAFKA": address[protocol], "EARNBACK_KAFKA_SECURITY": protocol}
        if protocol.endswith("SSL"):
            told["EARNBACK_KAFKA_CA"] = str(self.ca)
        if protocol == "SSL":
            told["EARNBACK_KAFKA_CERTIFICATE"] = str(self.certificate)
            told["EARNBACK_KAFKA_KEY"] = str(self.key)
            told["EARNBACK_KAFKA_KEY_PASSWORD"] = KEY_PASSWORD
        if mechanism:
            told["EARNBACK_KAFKA_MECHANISM"] = mechanism
            told["EARNBACK_KAFKA_USER"] = user
            told["EARNBACK_KAFKA_PASSWORD"] = password
        return told


@contextmanager
def secured(folder: Path, guarded: Collection[str] = ()) -> Iterator[Secured]:
    """Run a broker with a listener of each kind.

    ``guarded``: users that are let in by PLAIN and may do only what an ACL allows them; OPERATOR
    may do everything, and whoever gives no name, nothing.
    """
    authority, foreign = trustme.CA(), trustme.CA()
    ca, foreign_ca = folder / "ca.pem", folder / "foreign.pem"
    authority.cert_pem.write_to_path(ca)
    foreign.cert_pem.write_to_path(foreign_ca)
    shown = authority.issue_cert("127.0.0.1")
    (folder / "broker.pem").write_bytes(_key_of(shown) + _chain_of(shown))
    client = authority.issue_cert("evaluator.test", common_name=USER)
    certificate, key = folder / "client.pem", folder / "client.key"
    certificate.write_bytes(_chain_of(client))
    key.write_bytes(_key_of(client, KEY_PASSWORD.encode()))
    data = folder / "kafka"
    data.mkdir()
    ports: dict[str, int] = {"PLAINTEXT": kept_port(data / "port")}
    ports["CONTROLLER"] = kept_port(data / "controller-port", taken=(ports["PLAINTEXT"],))
    for name in ("SASLTLS", "SASL", "MUTUAL"):
        ports[name] = free_port(tuple(ports.values()))
    further = _further(folder, ports, guarded or (USER,)) | (_guard(guarded) if guarded else {})
    with EmbeddedKafka(data, 256, further=further) as broker:
        if not guarded:
            _make_scram_users(broker.bootstrap)
        yield Secured(
            broker.bootstrap,
            *(f"127.0.0.1:{ports[name]}" for name in ("SASLTLS", "SASL", "MUTUAL")),
            ca,
            foreign_ca,
            certificate,
            key,
        )


def _key_of(leaf: trustme.LeafCert, password: bytes | None = None) -> bytes:
    """The key as PKCS #8, the only form that Java reads."""
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )


def _chain_of(leaf: trustme.LeafCert) -> bytes:
    return b"".join(each.bytes() for each in leaf.cert_chain_pems)


def _further(folder: Path, ports: dict[str, int], users: Collection[str]) -> dict[str, str]:
    listeners = {name: f"{name}://127.0.0.1:{port}" for name, port in ports.items()}
    advertised = [listeners[name] for name in listeners if name != "CONTROLLER"]
    told = {
        "listeners": ",".join(listeners.values()),
        "advertised.listeners": ",".join(advertised),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
        "SASLTLS:SASL_SSL,SASL:SASL_PLAINTEXT,MUTUAL:SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "broker.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(folder / "ca.pem"),
        "listener.name.mutual.ssl.client.auth": "required",
    }
    for listener in ("sasltls", "sasl"):
        name = f"listener.name.{listener}"
        told[f"{name}.sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
        told[f"{name}.plain.sasl.jaas.config"] = _plain(users)
        for scram in ("scram-sha-256", "scram-sha-512"):
            told[f"{name}.{scram}.sasl.jaas.config"] = f"{_JAAS}.scram.ScramLoginModule required;"
    return told


def _plain(users: Collection[str], itself: str = "") -> str:
    """Who is let in by PLAIN. ``itself``: as whom the broker dials other brokers, and itself."""
    known = " ".join(f'user_{user}="{PASSWORD}"' for user in users)
    dials = f'username="{itself}" password="{PASSWORD}" ' if itself else ""
    return f"{_JAAS}.plain.PlainLoginModule required {dials}{known};"


def _guard(users: Collection[str]) -> dict[str, str]:
    """The broker dials itself and its controller as the operator: else whoever gives no name would
    have to be allowed everything."""
    login = _plain((*users, OPERATOR), OPERATOR)
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{OPERATOR}",
        "allow.everyone.if.no.acl.found": "false",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:SASL_PLAINTEXT,"
        "SASLTLS:SASL_SSL,SASL:SASL_PLAINTEXT,MUTUAL:SSL",
        "inter.broker.listener.name": "SASL",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        **{
            f"listener.name.{name}.plain.sasl.jaas.config": login
            for name in ("controller", "sasl", "sasltls")
        },
    }


def _make_scram_users(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
        made = UserScramCredentialUpsertion(
            USER, ScramCredentialInfo(mechanism, 4096), PASSWORD.encode()
        )
        for done in admin.alter_user_scram_credentials([made]).values():
            done.result(30)
