"""Contract and event files from disk: which files, and what is in them."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO

import msgspec

from schemas.agreement import Agreement
from schemas.programme import Programme
from services.core.contracts.check import check
from services.core.contracts.inheritance import resolve
from services.core.contracts.reading import MOST_CHARACTERS, Document, Refusal, read_documents
from services.core.contracts.underpinning import gaps
from services.core.contracts.unused import unused
from services.core.counting.version_start import mid_period_starts

CONTRACTS = (".yaml", ".yml")
EVENTS = (".json", ".jsonl", ".ndjson")


MOST_OF_A_FILE = 1024**3
"""Bytes of one file of events, unpacked: a few MiB of gzip can hold a thousand times as much."""
MOST_OF_A_TEXT = 4 * MOST_CHARACTERS
"""Bytes of one contract file, or document of another format, unpacked."""


class NothingThere(ValueError):
    """A path holds no file of the kind asked for. The text says what was looked for."""


class Unreadable(ValueError):
    """A file that is not in the form that it is taken in."""

    def __init__(self, name: str, reason: str, remedy: str) -> None:
        super().__init__(f"{name}: {reason}; {remedy}")
        self.refusal = Refusal(name, 1, 1, "", reason, remedy)


class Faulty(ValueError):
    """Contract files are refused. The text is a line for each fault, with its place."""


@dataclass(frozen=True, slots=True)
class ContractFiles:
    """The documents of some files, and what is wrong with them.

    ``documents``: whole, with what they inherit, without frameworks. ``written``: all, as written.
    ``partial``: some could not be read whole, so they were not checked beside the others.
    ``sound``: those of ``documents`` that were checked, and of which nothing is refused.
    """

    documents: tuple[Document, ...]
    refusals: tuple[Refusal, ...]
    warnings: tuple[str, ...] = ()
    written: tuple[Document, ...] = ()
    partial: bool = False
    sound: tuple[Document, ...] = ()

    def without_faulty(self) -> ContractFiles:
        """Those documents alone of which nothing is refused."""
        return replace(self, documents=self.sound, refusals=(), partial=False)

    def faults(self) -> list[str]:
        """A line for each fault; a last one where mending them may show further ones."""
        told = [refusal.text() for refusal in self.refusals]
        if self.partial:
            told.append(
                "then check again: what depends on a document with these faults was not checked"
            )
        return told

    def in_order(self) -> ContractFiles:
        """The same. Raises Faulty where anything is refused."""
        if self.refusals:
            raise Faulty("\n".join(self.faults()))
        return self

    @property
    def programmes(self) -> tuple[Programme, ...]:
        """All programme versions."""
        return tuple(one.noun for one in self.documents if isinstance(one.noun, Programme))

    @property
    def agreements(self) -> tuple[Agreement, ...]:
        """All agreement versions."""
        return tuple(one.noun for one in self.documents if isinstance(one.noun, Agreement))


def read_contracts(
    paths: Iterable[Path], beside: Sequence[Programme] = (), applied: Sequence[Agreement] = ()
) -> ContractFiles:
    """Read contract files, give agreements what they inherit, and check each beside its programme.

    ``beside``: programmes that are known from elsewhere; ``applied``: agreement versions that are.
    Raises NothingThere.
    """
    documents: list[Document] = []
    refusals: list[Refusal] = []
    faulty: set[str] = set()
    for file in _contract_files(paths):
        name = _called(file)
        try:
            found, refused = read_documents(text_of(file), name, str(file))
        except Unreadable as unreadable:
            refusals.append(unreadable.refusal)
            continue
        documents += found.documents
        refusals += refused
        faulty |= found.faulty_programmes
    inherited = resolve(documents)
    refusals += inherited.refusals
    partial = bool(refusals)
    programmes = [*beside, *(one.noun for one in documents if isinstance(one.noun, Programme))]
    sound: list[Document] = []
    for document in inherited.documents:
        if document.noun.programme in faulty and not _known(document, programmes):
            continue  # the faults of its programme are told; nothing can be said beside it
        own_faults = _checked(document, programmes, inherited.documents, applied)
        refusals += own_faults
        sound += [] if own_faults else [document]
    refusals += _started_inside(inherited.documents, beside, applied)
    agreements = [one.noun for one in inherited.documents if isinstance(one.noun, Agreement)]
    own = [one.noun for one in documents if isinstance(one.noun, Programme)]
    warnings: tuple[str, ...] = ()
    if not refusals:
        found_gaps = (gap.text() for gap in gaps(agreements, programmes))
        warnings = (*found_gaps, *unused([*agreements, *applied], own))
    return ContractFiles(
        inherited.documents, tuple(refusals), warnings, tuple(documents), partial, tuple(sound)
    )


def _known(document: Document, programmes: Sequence[Programme]) -> bool:
    return any(one.programme == document.noun.programme for one in programmes)


STANDARD_INPUT = Path("-")


def _contract_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Every contract file, and ``-`` for standard input. Raises NothingThere."""
    for path in paths:
        yield from [path] if path == STANDARD_INPUT else files_of([path], CONTRACTS)


def _called(file: Path) -> str:
    return "standard input" if file == STANDARD_INPUT else file.name


def text_of(file: Path, name: str | None = None) -> str:
    """The text of a contract file, or of a document of another format; of ``-`` standard input.

    Unpacked where it ends in ``.gz``. ``name``: as messages call it. Raises Unreadable for what is
    larger than such a text may be, or not in UTF-8.
    """
    name = name or _called(file)
    raw = (
        _bounded(sys.stdin.buffer, name, MOST_OF_A_TEXT)
        if file == STANDARD_INPUT
        else _content(file, name, MOST_OF_A_TEXT)
    )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(name, f"no text in UTF-8 ({error.reason})", "save it in UTF-8") from None


def _checked(
    document: Document,
    programmes: Sequence[Programme],
    documents: Sequence[Document],
    applied: Sequence[Agreement],
) -> tuple[Refusal, ...]:
    agreement = document.noun
    if not isinstance(agreement, Agreement):
        return ()
    own = [one for one in programmes if one.programme == agreement.programme]
    begun = [one for one in own if one.effective_from <= agreement.effective_from] or own
    there = [one.noun for one in documents if one is not document]
    others = [
        noun
        for noun in (*there, *applied)
        if isinstance(noun, Agreement) and noun.agreement == agreement.agreement
    ]
    return check(document, max(begun, key=lambda one: one.version, default=None), others)


def _started_inside(
    documents: Sequence[Document], beside: Sequence[Programme], applied: Sequence[Agreement]
) -> tuple[Refusal, ...]:
    """Programme versions that start inside a period, where one of the two is not applied yet."""
    places: dict[tuple[str, int], Document] = {}
    programmes = {(one.programme, one.version): one for one in beside}
    agreements = {(one.agreement, one.version): one for one in applied}
    for document in documents:
        noun = document.noun
        if isinstance(noun, Programme):
            if programmes.get((noun.programme, noun.version)) != noun:
                places[f"programme {noun.programme}", noun.version] = document
            programmes[noun.programme, noun.version] = noun
        elif not noun.framework:
            if agreements.get((noun.agreement, noun.version)) != noun:
                places[f"agreement {noun.agreement}", noun.version] = document
            agreements[noun.agreement, noun.version] = noun
    refusals = []
    for name in sorted({programme for programme, _ in programmes}):
        versions = [one for one in programmes.values() if one.programme == name]
        own = [one for one in agreements.values() if one.programme == name]
        for start in mid_period_starts(versions, own):
            new, met = start.programme, start.agreement
            place = places.get((f"programme {new.programme}", new.version))
            place = place or places.get((f"agreement {met.agreement}", met.version))
            if place is not None:
                refusals.append(place.refusal(("effective_from",), start.reason, start.remedy))
    return tuple(refusals)


def read_events(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Every event's place and bytes: from NDJSON, a JSON array, or one JSON object; ``.gz`` too.

    Raises NothingThere, and ValueError for a file that is no JSON at all.
    """
    for path in files_of(paths, EVENTS):
        yield from _events(path.name, _content(path, path.name, MOST_OF_A_FILE))


def _content(path: Path, name: str, most: int) -> bytes:
    """The bytes of a file, unpacked; never more than so many. Raises Unreadable."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            return _bounded(file, name, most)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        reason = f"not in the form of gzip ({error})"
        raise Unreadable(name, reason, "pack it again, or give it unpacked") from None


def _bounded(file: BufferedIOBase | BinaryIO, name: str, most: int) -> bytes:
    """All that a file holds. Raises Unreadable where that is more than so many bytes."""
    found = file.read(most + 1)
    if len(found) > most:
        reason = f"it has more than {most // 1024**2} MiB when unpacked"
        raise Unreadable(name, reason, "split it into several files of one folder")
    return found


def _events(name: str, text: bytes) -> Iterator[tuple[str, bytes]]:
    if text.lstrip()[:1] == b"[":
        try:
            items = msgspec.json.decode(text, type=list[msgspec.Raw])
        except msgspec.MsgspecError as error:
            reason = f"not a JSON array ({error})"
            raise Unreadable(name, reason, "correct it, or write NDJSON") from None
        for number, item in enumerate(items):
            yield f"{name}[{number}]", bytes(item)
        return
    lines = text.splitlines()
    if len(lines) > 1 and not _is_json(lines[0]) and _is_json(text):
        yield name, text
        return
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{name}:{number}", line


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.MsgspecError:
        return False
    return True


def files_of(paths: Iterable[Path], endings: Sequence[str]) -> list[Path]:
    """The files that are named, and those with one of the endings below folders that are named.

    Raises NothingThere.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [one for one in sorted(path.rglob("*")) if one.is_file()]
            chosen = [one for one in inside if _ending(one) in endings]
            if not chosen:
                raise NothingThere(f"{path}: no file here ends in {', '.join(endings)}")
            found += chosen
        elif path.is_file():
            found.append(path)
        else:
            raise NothingThere(f"{path}: no such file or folder")
    return found


def _ending(path: Path) -> str:
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
