"""An answer to a proposal, held against what it answers: who may give it."""

from __future__ import annotations

from schemas.agreement import Agreement
from schemas.event import ProposalAnswer
from schemas.period import first_day
from schemas.programme import Programme, Source
from services.core.events.agreement_facts import covering, is_party, no_agreement
from services.core.events.rejections import Rejection, RejectionCode
from services.core.events.rules import Rules
from services.core.events.whose_word import awaited, decisions_of, parties_of, sides_of, word_of


def of_proposal(
    rules: Rules, programme: Programme, source: Source, answer: ProposalAnswer
) -> Rejection | None:
    """Whether the party of a source may answer what the answer names.

    That the proposal itself is as the answer names it is seen when facts are counted; else the
    answer changes nothing.
    """
    versions = rules.sources.get(answer.of_source, ())
    stated_by = parties_of(versions).get(answer.of_source)
    vendors = {one.vendor for one in programme.vendors}
    others = vendors - {source.reports_for} if source.reports_for in vendors else set()
    if stated_by is None or stated_by in others or versions[0].programme != programme.programme:
        return Rejection(
            RejectionCode.UNKNOWN_SOURCE,
            "/data/of_source",
            f"the programme {programme.programme} has no source {answer.of_source} whose "
            f"proposals {source.reports_for} answers",
            "write source and id of the proposal as the period's evaluation lists them",
        )
    if rules.agreements is None:
        return None
    known = rules.agreements.get(answer.agreement, ())
    if not is_party(programme, known, source.reports_for):
        return no_agreement(programme, answer.agreement, source.reports_for)
    agreement = covering(known, first_day(answer.period))
    may = _answering(programme, agreement, answer, stated_by)
    if source.reports_for in may:
        return None
    who = ", ".join(sorted(may))
    reason = (
        f"{answer.states} {answer.name} stated by {stated_by} is "
        + (f"answered by {who}" if may else "no proposal: its word counts")
        + f", not by {source.reports_for}"
    )
    remedy = f"have {who} answer it" if may else "state another one, or a correction"
    return Rejection(RejectionCode.ANSWER_OF_ANOTHER_PARTY, "/data/answer", reason, remedy)


def _answering(
    programme: Programme, agreement: Agreement, answer: ProposalAnswer, stated_by: str
) -> frozenset[str]:
    """Who may answer. Of a correction: what it corrects is known only when facts are counted, so
    that here everyone may whose word can count for anything of the agreement."""
    if answer.states == "correction":
        third = {one.party for one in programme.third_parties}
        return frozenset({programme.buyer, agreement.vendor, *third}) - {stated_by}
    decisions = decisions_of(agreement)
    word = word_of(programme, agreement, decisions, answer.states, answer.name)
    return awaited(word, stated_by, sides_of(programme, agreement, answer.states, stated_by))
