"""Every worked case: contract file and events in, the exact answer out."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.core.golden.expected import ANSWERS, Said, comparable, total_credit, vendors
from tests.core.golden.given import TELLERS, Story
from tests.core.golden.production import CONTRACTS, Refused, evaluations, load, settled

CASES = {
    case["id"]: case
    for path in sorted((Path(__file__).parent / "cases").glob("*.toml"))
    for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
}


@pytest.mark.parametrize("name", CASES)
def test_the_case_comes_out_to_the_cent(name: str) -> None:
    case = CASES[name]
    expect = case["expect"]
    if expect.get("refused"):
        _refused(name, case)
        return
    assert answers(name, case["given"]["facts"], expect) == expect


def answers(name: str, facts: dict[str, Any], expect: dict[str, Any]) -> dict[str, Any]:
    """What the product says to every key that is expected of these facts."""
    saids = _told(TELLERS[name](facts))
    return {key: _answer(key, want, saids) for key, want in expect.items()}


def _told(story: Story) -> dict[str, Said]:
    """What each agreement of the case comes to, by vendor, run by run."""
    contracts = load(story.contract)
    assert not contracts.refusals, [refusal.text() for refusal in contracts.refusals]
    saids = {}
    for name in contracts.names():
        runs = []
        for number, events in enumerate(story.runs, start=1):
            known = evaluations(contracts, name, events, story.through, number)
            runs.append(settled(contracts, name, known))
        saids[contracts.versions(name)[0].vendor] = Said(runs, known)
    return saids


def _answer(key: str, want: Any, saids: dict[str, Said]) -> Any:
    if key == "vendors":
        return vendors(saids, want)
    if key == "total_minor":
        return sum(total_credit(said) for said in saids.values())
    (said,) = saids.values()
    return comparable(ANSWERS[key](said, want), want)


def _refused(name: str, case: dict[str, Any]) -> None:
    if case["expect"]["at"] == "contract":
        assert load(name).refusals, "the contract is accepted"
        return
    story = TELLERS[name](case["given"]["facts"])
    contracts = load(story.contract)
    assert not contracts.refusals
    with pytest.raises(Refused):
        evaluations(contracts, contracts.names()[0], story.runs[0], story.through)


def test_every_case_is_told_or_refused() -> None:
    untold = {
        name
        for name, case in CASES.items()
        if name not in TELLERS and not case["expect"].get("refused")
    }
    assert untold == set()
    assert all(
        (CONTRACTS / f"{name}.yaml").exists()
        for name in CASES
        if CASES[name]["expect"].get("at") == "contract"
    )
