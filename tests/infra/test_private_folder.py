"""What the embedded servers keep is nobody else's to read."""

from __future__ import annotations

from pathlib import Path

from infra.alone import alone
from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.postgres import EmbeddedPostgres


def test_embedded_data_and_the_folder_of_up_are_open_to_their_owner_alone(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir(mode=0o755)
    EmbeddedPostgres(old)
    EmbeddedKafka(tmp_path / "kafka")
    with alone(tmp_path / "home"):
        folders = (old, tmp_path / "kafka", tmp_path / "home")
        assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 3
