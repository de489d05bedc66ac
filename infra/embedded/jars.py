"""The broker's jars: pinned by coordinate and checksum, fetched once, checked at every start.

The lock holds `group:artifact:version sha256`, one jar a line, and no address: where jars come from
is the resolver's setting, so that a house with its own mirror uses that.

    python -m infra.embedded.jars lock      resolve anew and write the lock
    python -m infra.embedded.jars fetch     bring what the lock names into the cache
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.embedded.cache import cache_dir
from infra.progress import Progress, silent

KAFKA_VERSION = "4.1.0"
LOCK = Path(__file__).with_name("kafka-jars.lock")

ROOTS = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    "org.slf4j:slf4j-simple:1.7.36",  # same release as the slf4j-api that Kafka asks for
)
AT_ONCE = 8


class JarError(RuntimeError):
    """A jar can't be had, or is not the one that was pinned."""


@dataclass(frozen=True)
class Jar:
    """One pinned jar: coordinate `group:artifact:version`, sha256 of its bytes in hex."""

    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def locked(lock: Path = LOCK) -> list[Jar]:
    """The pinned jars, in the lock's order."""
    lines = lock.read_text().splitlines()
    return [Jar(*line.split()) for line in lines if line and not line.startswith("#")]


def class_path(progress: Progress = silent, lock: Path = LOCK) -> list[Path]:
    """Every pinned jar as a file whose bytes were checked just now; missing ones are fetched.

    Raises `JarError` naming the coordinate when a jar can't be fetched or its checksum differs.
    """
    jars = locked(lock)
    folder = cache_dir() / f"kafka-{KAFKA_VERSION}"
    folder.mkdir(exist_ok=True)
    missing = [jar for jar in jars if not _holds(folder / jar.filename, jar.sha256)]
    if missing:
        _fetch(missing, folder, progress, already=len(jars) - len(missing))
    progress("Kafka jars", len(jars), len(jars))
    return [folder / jar.filename for jar in jars]


def _holds(path: Path, sha256: str) -> bool:
    return path.is_file() and digest(path) == sha256


def digest(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(missing: list[Jar], folder: Path, progress: Progress, already: int) -> None:
    total = already + len(missing)
    progress("Kafka jars", already, total)
    with _staging(folder.parent) as (staging, maven), ThreadPoolExecutor(AT_ONCE) as pool:
        fetched = [pool.submit(_fetch_one, maven, jar, folder) for jar in missing]
        try:
            for done, future in enumerate(as_completed(fetched), already + 1):
                future.result()
                progress("Kafka jars", done, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    assert not staging.exists()


@contextmanager
def _staging(beside: Path) -> Iterator[tuple[Path, Any]]:
    """A resolver that downloads into a folder of its own.

    A download that is cut short leaves a short file; here it is thrown away with the folder, and
    only checked jars are moved, in one step, to where other processes look.
    """
    from jgo.config import GlobalSettings  # imported late: a warm start never needs the resolver
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    staging = Path(tempfile.mkdtemp(prefix="fetching-", dir=beside))
    repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    try:
        yield staging, MavenContext(repo_cache=staging, remote_repos=repositories, timeout=30)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _fetch_one(maven: Any, jar: Jar, folder: Path) -> None:
    group, artifact, version = jar.coordinate.split(":")
    path = _download(maven, group, artifact, version)
    found = digest(path)
    if found != jar.sha256:
        raise JarError(
            f"jar {jar.coordinate}: sha256 is {found}, pinned is {jar.sha256}; "
            "these are not the bytes that were pinned: find out why before going on"
        )
    os.replace(path, folder / jar.filename)


def _download(maven: Any, group: str, artifact: str, version: str) -> Path:
    try:
        return Path(maven.project(group, artifact).at_version(version).artifact().resolve())
    except Exception as error:
        raise JarError(
            f"jar {group}:{artifact}:{version}: could not be fetched ({error}); "
            "check the network, or name a reachable Maven repository under [repositories] in "
            "~/.config/jgo.conf, "
            "or point EARNBACK_KAFKA at a running broker"
        ) from error


def write_lock(roots: Iterable[str] = ROOTS, lock: Path = LOCK) -> None:
    """Resolve the roots with all that they need, fetch it, and pin what came."""
    import jgo

    with _staging(cache_dir()) as (_, maven):
        artifacts = {str(a): a for a in jgo.resolve("+".join(roots))}.values()
        lines = []
        for a in sorted(artifacts, key=lambda a: (a.groupId, a.artifactId)):
            path = _download(maven, a.groupId, a.artifactId, a.version)
            lines.append(f"{a.groupId}:{a.artifactId}:{a.version} {digest(path)}\n")
    head = "# Written by: python -m infra.embedded.jars lock\n# Roots: " + ", ".join(roots) + "\n"
    lock.write_text(head + "".join(lines))


def main() -> int:
    """Write the lock, or fetch what it names."""
    if sys.argv[1:] == ["lock"]:
        write_lock()
    elif sys.argv[1:] == ["fetch"]:
        class_path(lambda step, done, total: print(f"{step}: {done} of {total}", flush=True))
    else:
        print("usage: python -m infra.embedded.jars lock|fetch", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
