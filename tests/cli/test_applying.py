"""A file that refers to documents applied earlier is checked against them, on a real database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.agreement import Agreement
from schemas.programme import Programme
from schemas.statement import canonical
from services.catalogue.store import load
from services.cli.applying import apply_files
from services.cli.stack import Addresses
from services.shell.postgres import connect
from tests.catalogue.builders import METRICS, a_programme, an_agreement
from tests.ladder import Rung
from tests.settlement.builders import an_agreement as hosting
from tests.settlement.builders import an_evaluation
from tests.settlement.desk import a_desk

NEWER = {"metric": "net.newer", "name": "Newer", "unit": "percent", "better": "higher",
         "measure": {"kind": "ratio", "nothing_to_count": "no_data"}}  # fmt: skip


@pytest.fixture
async def where(servers: Rung, database: str, tmp_path: Path) -> Addresses:
    """Servers on which the programme and the agreement's first version are applied."""
    found = Addresses(servers.kafka, database, "", "", "")
    (tmp_path / "before").mkdir()
    await apply_files(
        found,
        [written(tmp_path / "before" / "a.yaml", a_programme()),
         written(tmp_path / "before" / "b.yaml", an_agreement())],
    )  # fmt: skip
    return found


def written(path: Path, *documents: Programme | Agreement, **changes: Any) -> Path:
    """A contract file of these documents, each with what is changed."""
    texts = [json.dumps(json.loads(canonical(each)) | changes) for each in documents]
    path.write_text("\n---\n".join(texts))
    return path


def second(tmp_path: Path, **changes: Any) -> Path:
    """The agreement's second version, from July on, alone in its file."""
    later = an_agreement(2, effective_from="2025-07-01")
    return written(tmp_path / "second.yaml", later, **changes)


async def versions(where: Addresses) -> list[int]:
    """The versions of the agreement that are applied."""
    connection = await connect(where.postgres, name="test")
    try:
        found = (await load(connection)).agreements["campus-network"]
    finally:
        await connection.close()
    return [one.version for one in found]


async def refused(where: Addresses, path: Path) -> str:
    """Why a file is refused. Nothing of it is applied then."""
    before = await versions(where)
    with pytest.raises(ValueError, match=r"\.yaml:\d+:\d+: ") as error:
        await apply_files(where, [path])
    assert await versions(where) == before
    return str(error.value)


async def test_the_next_version_alone_is_applied_beside_the_programme_of_the_database(
    where: Addresses, tmp_path: Path
) -> None:
    said = await apply_files(where, [second(tmp_path)])
    assert said[0] == "agreement campus-network version 2 is applied"
    assert await versions(where) == [1, 2]


async def test_a_metric_that_the_applied_programme_lacks_is_refused_with_its_place(
    where: Addresses, tmp_path: Path
) -> None:
    path = second(tmp_path)
    path.write_text(path.read_text().replace("net.availability", "net.availabilty"))
    text = await refused(where, path)
    assert text.startswith("second.yaml:1:")
    assert "levels[0].metric" in text
    assert "net.availability" in text, "the remedy offers the nearest name"


async def test_a_version_that_begins_before_the_applied_one_is_refused(
    where: Addresses, tmp_path: Path
) -> None:
    text = await refused(where, second(tmp_path, effective_from="2024-12-01"))
    assert "version 2 begins on 2024-12-01, not after version 1 (2025-01-01)" in text


async def test_other_terms_under_an_applied_version_are_refused_with_their_line(
    where: Addresses, tmp_path: Path
) -> None:
    text = await refused(where, written(tmp_path / "v1.yaml", an_agreement(), lateness_hours=25))
    assert text.startswith("v1.yaml:1:")
    assert "version 1 of campus-network is there with other terms" in text


@pytest.mark.parametrize(("field", "value"), [("currency", "USD"), ("settled", "quarter")])
async def test_what_all_versions_share_is_held_against_the_applied_ones(
    where: Addresses, tmp_path: Path, field: str, value: str
) -> None:
    text = await refused(where, second(tmp_path, **{field: value}))
    assert f"version 1 has {field} {getattr(an_agreement(), field)}" in text


async def test_the_version_of_the_programme_that_is_in_force_at_the_beginning_decides(
    where: Addresses, tmp_path: Path
) -> None:
    newer = a_programme(2, effective_from="2025-07-01", metrics=[*METRICS, NEWER])
    await apply_files(where, [written(tmp_path / "programme.yaml", newer)])
    levels = [json.loads(an_agreement().levels[0].model_dump_json()) | {"metric": "net.newer"}]
    early = second(tmp_path, levels=levels, effective_from="2025-06-01")
    assert "net.newer" in await refused(where, early)
    await apply_files(where, [second(tmp_path, levels=levels)])
    assert await versions(where) == [1, 2]


async def test_an_agreement_of_a_programme_that_nobody_applied_is_refused(
    where: Addresses, tmp_path: Path
) -> None:
    text = await refused(where, second(tmp_path, agreement="other", programme="harbour"))
    assert "the programme harbour is not known; give its file as well, or apply it first" in text


async def test_a_version_that_reaches_back_into_what_is_settled_says_from_when_it_rules(
    servers: Rung, database: str, tmp_path: Path
) -> None:
    async with a_desk(database) as desk:
        for period in ("2025-01", "2025-02"):
            await desk.house.settle(an_evaluation(9700, period=period))
        later = hosting(version=2, per_point="500", effective_from="2025-02-01")
        path = written(tmp_path / "two.yaml", later)
        said = await apply_files(Addresses(servers.kafka, database, "", "", ""), [path])
    assert said[0] == (
        "agreement hosting version 2 is applied; it rules from 2025-03-01, not from 2025-02-01: "
        "what is settled stays"
    )
