"""Brings every contract file of the tree up to date with the rules of the language:

    python -m tests.core.language1.rewrite

For a field that is made explicit while language 2 is not released yet. What stands in pages and in
the texts of tests is written by hand.
"""

from __future__ import annotations

from pathlib import Path

from services.core.contracts.upgrading import Upgrade, upgrade_text

ROOT = Path(__file__).parents[3]
FOLDERS = (
    "tests/core/golden/contracts", "services/cli/templates", "services/cli/story",
    "schemas/examples/events",
)  # fmt: skip


def rewritten(text: str) -> str:
    """A text of language 2 with all that the rules would add to it."""
    added = upgrade_text(text, "", anew=True)
    assert isinstance(added, Upgrade), added
    return added.text


if __name__ == "__main__":
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).glob("*.yaml")):
            path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
