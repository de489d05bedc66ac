"""From an amount back to what it rests on: rules, terms, results, figures, windows, events."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from schemas.agreement import Agreement
from schemas.ceiling import OfAgreements, SharedCap
from schemas.dispute import Dispute
from schemas.evaluation import WITHHELD, EventRef, MetricFigure, PeriodEvaluation, WithheldThing
from schemas.programme import Programme
from schemas.statement import LevelResult, SettlementStatement, StatementLine
from services.core.contracts.versions import caps_for
from services.core.pricing.credits import line_name
from services.core.settling.one_period import facts_digest
from services.core.visibility.shown import AgreementView
from services.settlement.evaluator_client import EvaluatorClient
from services.settlement.responses import (
    ContractTerm,
    Explanation,
    FactsPage,
    FigureEvent,
    FigureSource,
)
from services.shell.http.problems import Problem
from services.shell.http.seal import Seal

NO_FACTS = FactsPage(items=(), withheld=0, next=None, unavailable=None)

_PART = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]")


def results_behind(
    statement: SettlementStatement, line: StatementLine, agreement: Agreement
) -> tuple[LevelResult, ...]:
    """The results that a line speaks of: of its credit and subject, else of its level, else all.

    ``agreement``: the version that decides the line.
    """
    own = tuple(
        result
        for result in statement.results
        if line.line in _lines_of(statement, result, agreement)
    )
    return own or tuple(one for one in statement.results if line.level in (None, one.level))


def _lines_of(
    statement: SettlementStatement, result: LevelResult, agreement: Agreement
) -> set[str]:
    """The names of the lines that a result can make, by its level's credits and by its points."""
    names = {f"points/{result.subject}"} if result.points is not None and result.subject else set()
    level = next((one for one in agreement.levels if one.level == result.level), None)
    for credit in level.credits if level is not None else ():
        names.add(line_name(statement.period, result, credit))
    return names


AgreementDocument = Mapping[str, Any]


def document(
    agreement: Agreement, programmes: Sequence[Programme], period: str, seen: Collection[str]
) -> AgreementDocument:
    """An agreement as written, with the shared caps that its programme puts over the period.

    ``seen``: the agreements that the asker may see; a cap names no other one to them.
    """
    caps = [_cap(cap, seen) for _, cap in caps_for(programmes, period)]
    return {**agreement.model_dump(mode="json"), "shared_caps": caps}


def _cap(cap: SharedCap, seen: Collection[str]) -> dict[str, Any]:
    written = cap.model_dump(mode="json")
    if isinstance(cap.over, OfAgreements):
        written["over"]["agreements"] = [one for one in cap.over.agreements if one in seen]
    return written


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


def metrics_read(terms: Iterable[ContractTerm]) -> frozenset[str]:
    """The metrics that terms name: of a quantity, a factor, a range, a condition."""
    return frozenset(name for term in terms for name in _metrics_in(term.text))


def _metrics_in(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, inner in node.items():
            if name in ("metric", "highest", "lowest") and isinstance(inner, str):
                yield inner
            else:
                yield from _metrics_in(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _metrics_in(inner)


def figures_behind(
    results: Iterable[LevelResult],
    evaluations: Sequence[PeriodEvaluation],
    also: Collection[str] = (),
) -> tuple[FigureSource, ...]:
    """The figures that results were judged by, and those of other metrics that priced them.

    ``evaluations``: every revision that may hold them, newest first. A result names its evidence by
    digest; the figure of that digest is taken, so that an older statement is explained by the
    figures it was made from. ``also``: metrics that the line's terms read.
    """
    found: dict[tuple[str, str, str | None], FigureSource] = {}
    for result in results:
        digest = result.evidence.digest if result.evidence else None
        for evaluation, figure in _figures(result, evaluations):
            key = (figure.metric, figure.period, figure.subject)
            if key not in found or figure.evidence.digest == digest:
                found[key] = _source(figure, evaluation.revision)
        for evaluation, figure in _figures_read(result, evaluations, also):
            key = (figure.metric, figure.period, figure.subject)
            found.setdefault(key, _source(figure, evaluation.revision))
    return tuple(found.values())


def _figures(
    result: LevelResult, evaluations: Sequence[PeriodEvaluation]
) -> Iterable[tuple[PeriodEvaluation, MetricFigure]]:
    """The result's figure in each evaluation; in one of another period, all of its metric."""
    for evaluation in evaluations:
        of_metric = [
            one
            for one in evaluation.figures
            if (one.metric, one.subject) == (result.metric, result.subject)
        ]
        own = [one for one in of_metric if one.period == result.period]
        for figure in own or of_metric:
            yield evaluation, figure


def _figures_read(
    result: LevelResult, evaluations: Sequence[PeriodEvaluation], metrics: Collection[str]
) -> Iterable[tuple[PeriodEvaluation, MetricFigure]]:
    """Figures of these metrics in the result's period: of its subject, else of all together."""
    for evaluation in evaluations:
        in_period = [
            one
            for one in evaluation.figures
            if one.metric in metrics and one.period == result.period
        ]
        own = {one.metric for one in in_period if one.subject == result.subject}
        for figure in in_period:
            subject = result.subject if figure.metric in own else None
            if figure.subject == subject and figure.metric != result.metric:
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


def disputes_behind(disputes: Iterable[Dispute], explanation: Explanation) -> tuple[Dispute, ...]:
    """Those of a period's disputes that are of the line, or of what it rests on."""
    metrics = {figure.metric for figure in explanation.figures}
    return tuple(
        one
        for one in disputes
        if (
            one.line == explanation.line if one.line is not None else one.metric in (None, *metrics)
        )
    )


_REFERENCE = re.compile(r"withheld-\d+")


def references_behind(
    view: AgreementView,
    statement: SettlementStatement,
    line: StatementLine,
    results: Iterable[LevelResult],
    evaluations: Iterable[PeriodEvaluation],
) -> tuple[WithheldThing, ...]:
    """What the references in a line and its results stand for, where the viewer sees that.

    The evaluation that a statement was made from is the one of its digest.
    """
    said = " ".join(one.model_dump_json() for one in (line, *results))
    for evaluation in evaluations if names_references(said) else ():
        of_period = evaluation.period == statement.period
        if of_period and facts_digest(evaluation) == statement.facts_digest:
            return references_in(view, said, evaluation)
    return ()


def references_in(
    view: AgreementView, text: str, evaluation: PeriodEvaluation | None
) -> tuple[WithheldThing, ...]:
    """What the references in a text stand for, where the viewer sees that.

    ``evaluation``: of the period that the text is about, by which they are numbered; None: none.
    """
    if evaluation is None or not names_references(text):
        return ()
    return named_in(text, view.things(evaluation))


def names_references(text: str) -> bool:
    """Whether anything stands in a text in place of what is another vendor's."""
    return _REFERENCE.search(text) is not None


def named_in(text: str, things: Iterable[WithheldThing]) -> tuple[WithheldThing, ...]:
    """Those of the things whose references a text has."""
    found = set(_REFERENCE.findall(text))
    return tuple(one for one in things if one.reference in found)


async def facts_behind(
    evaluator: EvaluatorClient,
    view: AgreementView,
    others: Collection[EventRef],
    seal: Seal,
    *,
    agreement: str,
    figures: Sequence[FigureSource],
    scope: str,
    cursor: str | None,
    limit: int,
) -> FactsPage:
    """A page of the events that moved the figures, figure by figure, as they are stored now.

    ``others``: what the buyer reports of other vendors alone.
    """
    index, inner = seal.keys(scope, cursor, [int, str]) if cursor else (0, "")
    while index < len(figures):
        try:
            page = await evaluator.facts(_query(agreement, figures[index], inner, limit))
        except Problem as problem:
            return NO_FACTS.model_copy(
                update={"next": cursor, "unavailable": problem.detail or problem.title}
            )
        at, following = index, page.get("next")
        index, inner = (index, following) if following else (index + 1, "")
        if page["items"]:
            events = [FigureEvent.model_validate({**one, "figure": at}) for one in page["items"]]
            extents = [
                view.of_others
                if EventRef(source=one.source, id=one.id) in others
                else view.of_source(one.source)
                for one in events
            ]
            rest = seal.cursor(scope, index, inner) if index < len(figures) else None
            return FactsPage(
                items=tuple(
                    one if seen == "whole" else _bare(one)
                    for one, seen in zip(events, extents, strict=True)
                    if seen != "nothing"
                ),
                withheld=extents.count("reference"),
                next=rest,
                unavailable=None,
                changed_since=(at,) if page["digest"] != figures[at].digest else (),
            )
    return NO_FACTS


def _bare(event: FigureEvent) -> FigureEvent:
    """That an event moved the figure, and when; not whose it is, or what it says."""
    return FigureEvent(
        source=WITHHELD,
        id="withheld",
        type=event.type,
        time=event.time,
        metric=event.metric,
        subject=None,
        payload=None,
        corrects=None,
        figure=event.figure,
    )


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
