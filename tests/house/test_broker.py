"""Nobody reaches the broker past the security settings."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
THE_PLACE = ROOT / "services/shell/broker.py"
OWN_BROKER = ROOT / "infra/embedded/kafka.py"
"""Starts a broker for this machine alone, and asks it whether it is up."""
IS_GIVEN_OPTIONS = ROOT / "infra/cluster.py"
"""Knows no service; whoever calls it hands the options in, and tests do on a secured broker."""
ADDRESS = re.compile(r"bootstrap_servers|[\"']bootstrap\.servers[\"']:")


def test_only_one_file_turns_settings_into_options_of_clients() -> None:
    files = [*(ROOT / "services").rglob("*.py"), *(ROOT / "infra").rglob("*.py")]
    found = [path for path in files if ADDRESS.search(path.read_text(encoding="utf-8"))]
    assert set(found) == {THE_PLACE, OWN_BROKER, IS_GIVEN_OPTIONS}
