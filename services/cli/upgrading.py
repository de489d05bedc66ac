"""Contract files of an earlier language, written anew in today's: all of them or none."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from services.cli.files import CONTRACTS, Faulty, Unreadable, files_of, text_of
from services.core.contracts.language import LANGUAGE
from services.core.contracts.reading import Refusal
from services.core.contracts.upgrading import Upgrade, upgrade_text


@dataclass(frozen=True, slots=True)
class UpgradedFile:
    """A file as it would be in today's language. ``name``: as messages call it."""

    name: str
    upgrade: Upgrade

    def report(self) -> Iterator[str]:
        """What was written out, a line each; then what a person should decide."""
        if not self.upgrade.added:
            yield f"{self.name}: is in language {LANGUAGE} already; nothing was changed"
            return
        yield f"{self.name}: upgraded to language {LANGUAGE}; written out:"
        yield from (f"  {line}" for line in self.upgrade.added)
        if self.upgrade.decide:
            yield f"{self.name}: a person should decide, as language 1 left it open:"
            yield from (f"  {line}" for line in self.upgrade.decide)


def upgraded_text(text: str, name: str) -> UpgradedFile:
    """A text in today's language, with the line ends that it has. Raises Faulty."""
    windows = "\r\n" in text
    found = upgrade_text(text.replace("\r\n", "\n"), name)
    if isinstance(found, Refusal):
        raise Faulty(found.text())
    if windows:
        found = Upgrade(found.text.replace("\n", "\r\n"), found.added, found.decide)
    return UpgradedFile(name, found)


def upgraded_files(paths: Sequence[Path]) -> list[tuple[Path, UpgradedFile]]:
    """Every contract file among the paths in today's language; nothing is written yet.

    Raises NothingThere, and Faulty with a line for each file that cannot be upgraded.
    """
    found, faults = [], []
    for path in files_of(paths, CONTRACTS):
        try:
            found.append((path, upgraded_text(_written(path), str(path))))
        except (Faulty, Unreadable) as fault:
            faults.append(str(fault))
    if faults:
        raise Faulty("\n".join(faults))
    return found


def _written(path: Path) -> str:
    """The text of a file that can be replaced. Raises Unreadable."""
    if path.suffix == ".gz":
        raise Unreadable(str(path), "it is packed", "unpack it, and upgrade what it holds")
    return text_of(path, str(path))


def replace_file(path: Path, text: str) -> None:
    """Put a text in the place of a file in one step: a reader sees the old one or the new one."""
    target = path.resolve()  # the file behind a link, not the link
    with NamedTemporaryFile(
        "wb", dir=target.parent, prefix=f".{target.name}.", delete=False
    ) as new:
        try:
            new.write(text.encode("utf-8"))
            new.flush()
            os.fsync(new.fileno())
            os.chmod(new.name, stat.S_IMODE(target.stat().st_mode))
            os.replace(new.name, target)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise
