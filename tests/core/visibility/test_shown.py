"""What a vendor is shown of figures and statements: its own, and of others what is revealed."""

from __future__ import annotations

import pytest

from schemas.evaluation import (
    WITHHELD,
    ComparedFigure,
    EventRef,
    Evidence,
    MetricFigure,
    Part,
    PeriodEvaluation,
    Proposal,
)
from schemas.period import Window
from schemas.programme import VendorsSee
from schemas.role import Role
from schemas.statement import LevelResult, SettlementStatement
from services.core.visibility.extent import Viewer
from services.core.visibility.parties import Parties
from services.core.visibility.shown import AgreementView

SOURCES = {"urn:own": "nimbus", "urn:town": "town", "urn:other": "cirrus"}
EVENTS = tuple(EventRef(source=source, id="e-1") for source in SOURCES)


def _view(party: str, role: Role, revealed: VendorsSee = "figures") -> AgreementView:
    parties = Parties("town", frozenset({"nimbus", "cirrus"}), SOURCES)
    return AgreementView(Viewer(party, role), "nimbus", revealed, parties)


def _part(name: str, vendor: str | None, source: str = "urn:town") -> Part:
    return Part.model_validate(
        {
            "part": name,
            "vendor": vendor,
            "subject": f"site-of-{name}",
            "amount": "5",
            "value": "9000",
            "events": [{"source": source, "id": name}],
        }
    )


def _proposal(source: str, party: str) -> Proposal:
    answers = [
        {"event": {"source": each, "id": "a-1"}, "at": "2025-02-03T00:00:00Z", "party": answering,
         "answer": "accept", "reason": "seen"}
        for each, answering in SOURCES.items()
    ]  # fmt: skip
    return Proposal.model_validate(
        {
            "event": {"source": source, "id": "p-1"},
            "payload": "0" * 16,
            "at": "2025-02-02T00:00:00Z",
            "party": party,
            "figure": {"metric": "score", "period": "2025-01", "value": 1, "unit": "points"},
            "state": "open",
            "answers": answers,
        }
    )


def _evaluation() -> PeriodEvaluation:
    parts = (_part("t1", "nimbus"), _part("t2", "cirrus"), _part("t5", None, "urn:other"))
    figure = MetricFigure.model_validate(
        {
            "metric": "tickets",
            "period": "2025-01",
            "window": {"start": "2025-01-01T00:00:00Z", "end": "2025-02-01T00:00:00Z"},
            "value": "97",
            "good": "97",
            "total": "100",
            "evidence": {"facts": 100, "digest": "0" * 64},
        }
    )
    shown = {
        "parts": parts,
        "touching": (_part("t3", "cirrus"), _part("t4", "nimbus")),
        "unfinished": ("t1", "t2"),
        "evidence": Evidence(facts=100, digest="0" * 64, telling=EVENTS),
        "compared": tuple(ComparedFigure(source=each, value="99", facts=3) for each in SOURCES),
    }
    return PeriodEvaluation(
        programme="campus",
        agreement="hosting",
        period="2025-01",
        revision=1,
        reason="closed",
        figures=(figure.model_copy(update=shown),),
        charges=(),
        circumstances=(),
        proposals=tuple(_proposal(source, party) for source, party in SOURCES.items()),
    )


@pytest.mark.parametrize("viewer", [("town", "procurement"), ("town", "finance"), ("x", "admin")])
def test_the_buyer_and_the_operator_see_all_of_it(viewer: tuple[str, Role]) -> None:
    assert _view(*viewer).evaluation(_evaluation()) == (_evaluation(), 0)


def test_of_others_a_vendor_sees_how_much_and_when_but_not_whose_or_which() -> None:
    seen, withheld = _view("nimbus", "vendor").evaluation(_evaluation())
    text = seen.model_dump_json()
    (figure,) = seen.figures
    assert [part.amount for part in figure.parts] == [5, 5, 5]
    assert [part.value for part in figure.parts] == [9000, None, None]
    assert len(figure.touching) == 2
    assert len(figure.unfinished) == 2
    assert [event.source for event in figure.evidence.telling] == ["urn:own", "urn:town", WITHHELD]
    assert withheld == 4
    for foreign in ("t2", "t3", "t5", "cirrus", "urn:other"):
        assert f'"{foreign}"' not in text, foreign


def test_where_nothing_is_revealed_a_vendor_sees_its_own_alone() -> None:
    seen, withheld = _view("nimbus", "vendor", "nothing").evaluation(_evaluation())
    (figure,) = seen.figures
    assert ([part.part for part in figure.parts], figure.unfinished) == (["t1"], ("t1",))
    assert figure.evidence.telling == EVENTS[:2]
    assert withheld == 0


@pytest.mark.parametrize(("revealed", "shown"), [("nothing", 0), ("figures", 1), ("events", 1)])
def test_when_anothers_outage_cut_ones_own_is_seen_where_figures_are(
    revealed: VendorsSee, shown: int
) -> None:
    known = _evaluation()
    piece = Window.model_validate({"start": "2025-01-10T10:00:00Z", "end": "2025-01-10T11:00:00Z"})
    own = known.figures[0].parts[0].model_copy(update={"pieces": (piece,)})
    figures = (known.figures[0].model_copy(update={"parts": (own,)}),)
    seen, _ = _view("nimbus", "vendor", revealed).evaluation(
        known.model_copy(update={"figures": figures})
    )
    assert len(seen.figures[0].parts[0].pieces) == shown


def test_a_vendor_sees_no_proposal_answer_or_compared_source_of_another() -> None:
    shown, _ = _view("nimbus", "vendor").evaluation(_evaluation())
    assert [one.party for one in shown.proposals] == ["nimbus", "town"]
    assert all(
        [each.party for each in one.answers] == ["nimbus", "town"] for one in shown.proposals
    )
    assert [one.source for one in shown.figures[0].compared] == ["urn:own", "urn:town"]
    assert "cirrus" not in shown.model_dump_json()


def test_where_events_are_revealed_a_vendor_sees_all_that_its_figures_rest_on() -> None:
    assert _view("nimbus", "vendor", "events").evaluation(_evaluation()) == (_evaluation(), 0)


def test_a_statement_names_no_event_of_another_vendor() -> None:
    result = LevelResult(
        level="uptime",
        metric="tickets",
        period="2025-01",
        figure=None,
        result=None,
        expected=None,
        minimum=None,
        standing="no_result",
        defaulted=False,
        evidence=Evidence(facts=3, digest="0" * 64, telling=EVENTS),
    )
    statement = SettlementStatement(
        programme="campus",
        agreement="hosting",
        version=1,
        vendor="nimbus",
        buyer="town",
        period="2025-01",
        currency="EUR",
        results=(result,),
        lines=(),
        total_minor=0,
        facts_digest="0" * 64,
    )
    seen = _view("nimbus", "vendor").statement(statement)
    assert seen.results[0].evidence is not None
    assert seen.results[0].evidence.telling == (
        *EVENTS[:2],
        EventRef(source=WITHHELD, id="withheld"),
    )
    assert _view("nimbus", "vendor").statement(seen) == seen
    assert _view("town", "finance").statement(statement) == statement
