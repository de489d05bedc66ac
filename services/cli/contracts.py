"""What the command does with contract files beside checking and applying them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.cli.applied import AppliedContracts
from services.cli.files import Faulty, read_contracts
from services.core.contracts.diff import contract_diff
from services.core.contracts.inheritance import whence


def terms_and_origins(
    paths: Sequence[Path], beside: AppliedContracts
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each agreement's name, and its terms with where each came from."""
    found = read_contracts(paths, beside.programmes, beside.agreements)
    if found.refusals:
        raise Faulty("\n".join([*found.faults(), *beside.lacked(found)]))
    for agreement in found.agreements:
        rows = [
            (one.term, f"{one.agreement} version {one.version}" if one.inherited else "itself")
            for one in whence(agreement)
        ]
        yield f"{agreement.agreement} version {agreement.version}", rows


def changes(old: Path, new: Path) -> list[str]:
    """Every change between the documents of two files, by name; a sentence where there is none.

    Agreements are compared with what they inherit, frameworks as they are written. Where a
    framework is not in the files, its agreement is compared as written too, and that is said.
    """
    before, after = _read(old), _read(new)
    told = []
    for (kind, who), now in after.items():
        name = f"{kind} {who}"
        was = before.get((kind, who))
        if was is None:
            told.append(f"{name}: only in {new.name}")
            continue
        if was.lacks or now.lacks:
            told.append(f"{name}: {was.lacks or now.lacks}")
            found = contract_diff(was.written, now.written)
        else:
            found = contract_diff(was.noun, now.noun)
        told += [f"{name}: {change.text()}" for change in found] or [f"{name}: no change"]
    gone = [" ".join(name) for name in before if name not in after]
    return told + [f"{name}: only in {old.name}" for name in gone]


@dataclass(frozen=True, slots=True)
class _LoadedDocument:
    """A document: whole as far as that can be, and as written. ``lacks``: why it is not whole."""

    noun: Programme | Agreement
    written: Programme | Agreement
    lacks: str | None


def _read(path: Path) -> dict[tuple[str, str], _LoadedDocument]:
    """The documents as far as they can be read: a version may be compared before it is complete."""
    found = read_contracts([path])
    whole = {(*_name(one.noun), one.noun.version): one.noun for one in found.documents}
    read = {}
    for noun in sorted((one.noun for one in found.written), key=lambda one: one.kind, reverse=True):
        known = whole.get((*_name(noun), noun.version))
        lacks = None
        if known is None and isinstance(noun, Agreement) and noun.inherits and not noun.framework:
            lacks = (
                f"compared as written: what it inherits is not known from {path.name}; give a file "
                f"or folder that holds {noun.inherits.agreement} version {noun.inherits.version} "
                "as well"
            )
        read[_name(noun)] = _LoadedDocument(known or noun, noun, lacks)
    return read


def _name(noun: Programme | Agreement) -> tuple[str, str]:
    return noun.kind, noun.programme if isinstance(noun, Programme) else noun.agreement
