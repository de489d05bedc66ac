"""Zones come from the locked tzdata, whatever the host's database says."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import pytest

from schemas.base import TZDATA, zone_of

ROOT = Path(__file__).parents[2]
BEGINS = """
from datetime import date, datetime, UTC
from zoneinfo import ZoneInfo
from services.core.calendar.windows import day_start
print(day_start(date(2025, 1, 1), "Europe/Berlin").astimezone(UTC).isoformat())
print(datetime(2025, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC).isoformat())
"""


def test_a_wrong_zone_in_the_hosts_database_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "Europe").mkdir()
    tokyo = (files("tzdata") / "zoneinfo" / "Asia" / "Tokyo").read_bytes()
    (tmp_path / "Europe" / "Berlin").write_bytes(tokyo)
    done = subprocess.run(
        [sys.executable, "-c", BEGINS],
        env={**os.environ, "PYTHONTZPATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    ours, the_hosts = done.stdout.splitlines()
    assert ours == "2024-12-31T23:00:00+00:00"
    assert the_hosts == "2024-12-31T15:00:00+00:00", "the host's database is the wrong one"


@pytest.mark.parametrize(
    "name", ["", "Europe", "Berlin", "../zoneinfo/UTC", "/etc/localtime", "leapseconds", "a//b"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not an IANA zone; write one such as Europe/Berlin"):
        zone_of(name)


def test_the_version_is_that_of_the_lock() -> None:
    locked = (ROOT / "infra/requirements.lock").read_text(encoding="utf-8")
    assert f"\ntzdata=={TZDATA} " in locked
    assert version("tzdata") == TZDATA
