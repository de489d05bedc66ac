"""The broker's jars are those that were pinned, or there is no broker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.embedded.jars import KAFKA_VERSION, LOCK, ROOTS, JarError, class_path, digest, locked


def test_the_lock_pins_every_jar_by_checksum_and_names_no_address() -> None:
    jars = locked()
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert all(re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.-]+", jar.coordinate) for jar in jars)
    assert set(ROOTS) <= {jar.coordinate for jar in jars}
    assert "//" not in LOCK.read_text()


def test_no_two_jars_share_a_file() -> None:
    names = [jar.filename for jar in locked()]
    assert len(names) == len(set(names))


def test_a_jar_that_was_changed_in_the_cache_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_CACHE", str(tmp_path))
    small = next(jar for jar in locked() if jar.coordinate.startswith("org.slf4j:slf4j-simple:"))
    lock = tmp_path / "lock"
    lock.write_text(f"{small.coordinate} {small.sha256}\n")
    (path,) = class_path(lock=lock)
    assert path.parent == tmp_path / f"kafka-{KAFKA_VERSION}"
    path.write_bytes(b"something else")
    assert class_path(lock=lock) == [path]
    assert digest(path) == small.sha256
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith("fetching")] == []


def test_other_bytes_than_those_pinned_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_CACHE", str(tmp_path))
    lock = tmp_path / "lock"
    lock.write_text(f"org.slf4j:slf4j-simple:1.7.36 {'0' * 64}\n")
    with pytest.raises(JarError, match=r"slf4j-simple:1\.7\.36: sha256 is .*, pinned is 0{64}"):
        class_path(lock=lock)
    assert list((tmp_path / f"kafka-{KAFKA_VERSION}").iterdir()) == []


def test_a_jar_that_can_not_be_had_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARNBACK_CACHE", str(tmp_path))
    lock = tmp_path / "lock"
    lock.write_text(f"org.slf4j:slf4j-simple:0.0.0-none {'0' * 64}\n")
    with pytest.raises(
        JarError, match=r"slf4j-simple:0\.0\.0-none: could not be fetched .*EARNBACK_KAFKA"
    ):
        class_path(lock=lock)
