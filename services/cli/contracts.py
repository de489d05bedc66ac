"""What the command does with contract files beside checking and applying them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.cli.files import Contracts, read_contracts
from services.core.contract_diff import contract_diff
from services.core.inheritance import whence


def terms_and_origins(paths: Sequence[Path]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each agreement's name, and its terms with where each came from."""
    for agreement in in_order(read_contracts(paths)).agreements:
        rows = [
            (one.term, f"{one.agreement} version {one.version}" if one.inherited else "itself")
            for one in whence(agreement)
        ]
        yield f"{agreement.agreement} version {agreement.version}", rows


def changes(old: Path, new: Path) -> list[str]:
    """Every change between the documents of two files, by name; a sentence where there is none."""
    before = {_name(noun): noun for noun in _nouns(old)}
    told = []
    for noun in _nouns(new):
        name = " ".join(_name(noun))
        earlier = before.pop(_name(noun), None)
        if earlier is None:
            told.append(f"{name}: only in {new.name}")
            continue
        found = contract_diff(earlier, noun)
        told += [f"{name}: {change.text()}" for change in found] or [f"{name}: no change"]
    return told + [f"{' '.join(name)}: only in {old.name}" for name in before]


def in_order(found: Contracts) -> Contracts:
    """The same, or ValueError with everything that is refused."""
    if found.refusals:
        raise ValueError("\n".join(refusal.text() for refusal in found.refusals))
    return found


def _nouns(path: Path) -> list[Programme | Agreement]:
    """The documents as far as they can be read: a version may be compared before it is complete."""
    found = read_contracts([path])
    return [*found.programmes, *found.agreements]


def _name(noun: Programme | Agreement) -> tuple[str, str]:
    return noun.kind, noun.programme if isinstance(noun, Programme) else noun.agreement
