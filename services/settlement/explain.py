"""From an amount back to what it rests on: rules, terms, results, figures, windows, events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.agreement import Agreement
from schemas.evaluation import EventRef, MetricFigure, Part, PeriodEvaluation
from schemas.programme import Programme
from schemas.statement import LevelResult, SettlementStatement, StatementLine
from services.core.contracts.versions import caps_for
from services.settlement.access import Principal
from services.settlement.evaluator_client import EvaluatorClient
from services.settlement.responses import ContractTerm, FactsPage, FigureSource
from services.shell.http.cursors import decode_cursor, encode_cursor
from services.shell.http.problems import Problem

NO_FACTS = FactsPage(items=(), withheld=0, next=None, unavailable=None)

_PART = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]")


def results_behind(statement: SettlementStatement, line: StatementLine) -> tuple[LevelResult, ...]:
    """The results that a line speaks of: its level's, or all where it names no level."""
    return tuple(result for result in statement.results if line.level in (None, result.level))


AgreementDocument = Mapping[str, Any]


def document(
    agreement: Agreement, programmes: Sequence[Programme], period: str
) -> AgreementDocument:
    """An agreement as written, with the shared caps that its programme puts over the period."""
    caps = [cap.model_dump(mode="json") for _, cap in caps_for(programmes, period)]
    return {**agreement.model_dump(mode="json"), "shared_caps": caps}


def terms_behind(document: AgreementDocument, line: StatementLine) -> tuple[ContractTerm, ...]:
    """The terms that the line's steps point at, as written in the contract, each once."""
    paths = dict.fromkeys(step.term for step in line.steps)
    return tuple(ContractTerm(path=path, text=term_at(document, path)) for path in paths)


def term_at(document: Any, path: str) -> Any:
    """What stands at a path such as ``levels[0].credits[1].rate``; None where nothing does."""
    found = document
    for name, index in _PART.findall(path):
        if name:
            found = found.get(name) if isinstance(found, dict) else None
        else:
            at = int(index)
            found = found[at] if isinstance(found, list) and at < len(found) else None
    return found


def figures_behind(
    results: Iterable[LevelResult], evaluations: Sequence[PeriodEvaluation]
) -> tuple[FigureSource, ...]:
    """The figures that results were judged by.

    ``evaluations``: every revision that may hold them, newest first. A result names its evidence by
    digest; the figure of that digest is taken, so that an older statement is explained by the
    figures it was made from.
    """
    found: dict[tuple[str, str, str | None], FigureSource] = {}
    for result in results:
        if result.metric is None:
            continue
        digest = result.evidence.digest if result.evidence else None
        for evaluation, figure in _figures(result, evaluations):
            key = (figure.metric, figure.period, figure.subject)
            if key not in found or figure.evidence.digest == digest:
                found[key] = _source(figure, evaluation.revision)
    return tuple(found.values())


def _figures(
    result: LevelResult, evaluations: Sequence[PeriodEvaluation]
) -> Iterable[tuple[PeriodEvaluation, MetricFigure]]:
    for evaluation in evaluations:
        for figure in evaluation.figures:
            if (figure.metric, figure.subject) == (result.metric, result.subject):
                yield evaluation, figure


def _source(figure: MetricFigure, revision: int) -> FigureSource:
    return FigureSource(
        metric=figure.metric,
        subject=figure.subject,
        period=figure.period,
        window=figure.window,
        value=figure.value,
        good=figure.good,
        total=figure.total,
        facts=figure.evidence.facts,
        digest=figure.evidence.digest,
        telling=figure.evidence.telling,
        revision=revision,
    )


async def facts_behind(
    evaluator: EvaluatorClient,
    asker: Principal,
    *,
    agreement: str,
    figures: Sequence[FigureSource],
    scope: str,
    cursor: str | None,
    limit: int,
) -> FactsPage:
    """A page of the events behind the figures, figure by figure, as the evaluator stores them."""
    index, inner = decode_cursor(scope, cursor, [int, str]) if cursor else (0, "")
    while index < len(figures):
        try:
            page = await evaluator.facts(_query(agreement, figures[index], inner, limit))
        except Problem as problem:
            return FactsPage(
                items=(), withheld=0, next=cursor, unavailable=problem.detail or problem.title
            )
        items, following = page["items"], page.get("next")
        index, inner = (index, following) if following else (index + 1, "")
        if items:
            shown, withheld = visible(
                asker, (EventRef(source=item["source"], id=item["id"]) for item in items)
            )
            rest = encode_cursor(scope, index, inner) if index < len(figures) else None
            return FactsPage(items=shown, withheld=withheld, next=rest, unavailable=None)
    return NO_FACTS


def _query(agreement: str, figure: FigureSource, cursor: str, limit: int) -> dict[str, str]:
    query = {
        "agreement": agreement,
        "metric": figure.metric,
        "period": figure.period,
        "limit": str(limit),
    }
    if figure.subject is not None:
        query["subject"] = figure.subject
    if cursor:
        query["cursor"] = cursor
    return query


def visible(asker: Principal, events: Iterable[EventRef]) -> tuple[tuple[EventRef, ...], int]:
    """The events that may be named to the asker, and how many are withheld."""
    everything = tuple(events)
    shown = tuple(event for event in everything if asker.may_see_evidence_of(event.source))
    return shown, len(everything) - len(shown)


def shown_result(asker: Principal, result: LevelResult) -> LevelResult:
    """The result without events of other vendors."""
    if result.evidence is None:
        return result
    telling, _ = visible(asker, result.evidence.telling)
    evidence = result.evidence.model_copy(update={"telling": telling})
    return result.model_copy(update={"evidence": evidence})


def _own(asker: Principal, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Those that are no other vendor's share."""
    return tuple(part for part in parts if asker.vendor in (None, part.vendor) or not part.vendor)


def shown_to(asker: Principal, evaluation: PeriodEvaluation) -> tuple[PeriodEvaluation, int]:
    """The evaluation without other vendors' parts and events, and how much is withheld."""
    withheld = 0
    figures = []
    for figure in evaluation.figures:
        telling, hidden = visible(asker, figure.evidence.telling)
        parts, touching = _own(asker, figure.parts), _own(asker, figure.touching)
        withheld += hidden + len(figure.parts) + len(figure.touching) - len(parts) - len(touching)
        names = {part.part for part in parts}
        shown = {
            "evidence": figure.evidence.model_copy(update={"telling": telling}),
            "parts": parts,
            "touching": touching,
            "unfinished": tuple(name for name in figure.unfinished if name in names),
        }
        figures.append(figure.model_copy(update=shown))
    return evaluation.model_copy(update={"figures": tuple(figures)}), withheld
