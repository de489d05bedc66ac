"""Writes the JSON Schema of contract files.

    python -m services.cli.contract_schema [--check]

With ``--check`` nothing is written; the exit code is 1 where the file is not current.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from schemas.contract_schema import contract_schema

FILE = Path(__file__).parents[2] / "schemas" / "json" / "contract.schema.json"


def text() -> str:
    """What belongs into the file."""
    return json.dumps(contract_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write it, or only check."""
    if "--check" in sys.argv[1:]:
        current = FILE.exists() and FILE.read_text(encoding="utf-8") == text()
        print("it is current" if current else "schemas/json/contract.schema.json is not current")
        sys.exit(not current)
    FILE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
