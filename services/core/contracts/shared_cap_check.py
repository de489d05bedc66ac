"""Whether an agreement fits the caps that it shares with others of its programme."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.agreement import Agreement
from schemas.ceiling import SharedCap
from schemas.credit import PercentLimit
from schemas.period_cycle import same_length
from schemas.programme import Programme
from services.core.contracts.versions import covers
from services.core.contracts.wording import Finding


def unfit(agreement: Agreement, programme: Programme) -> Iterator[Finding]:
    """What keeps an agreement from being cut by the programme's shared caps that are over it."""
    if agreement.framework:
        return
    for cap in programme.shared_caps:
        if covers(cap, agreement.agreement, agreement.vendor):
            yield from _one_measure(agreement, cap)
            yield from _a_base(agreement, cap)
            yield from _earn_backs_count(agreement, cap)


def _one_measure(agreement: Agreement, cap: SharedCap) -> Iterator[Finding]:
    for field in ("currency", "settled"):
        own, shared = getattr(agreement, field), getattr(cap, field)
        same = same_length(own, shared) if field == "settled" else own == shared
        if not same:
            yield Finding(
                (field,),
                f"{field} is {own}, but the shared cap {cap.cap} is over this agreement and says "
                f"{shared}",
                f"write {shared} here, or take the agreement out of the programme's cap",
            )


def _a_base(agreement: Agreement, cap: SharedCap) -> Iterator[Finding]:
    if not isinstance(cap.limit, PercentLimit):
        return
    name = cap.limit.base
    for index, base in enumerate(agreement.bases):
        if base.base == name and base.per_subject:
            yield Finding(
                ("bases", index, "per_subject"),
                f"the shared cap {cap.cap} takes a percentage of {name}, which is charged for each "
                "subject",
                "declare a base that is charged for the whole agreement under that name",
            )
    if name not in {base.base for base in agreement.bases}:
        yield Finding(
            ("bases",),
            f"the shared cap {cap.cap} takes a percentage of the base {name}, which is not "
            "declared here",
            f"declare a base {name}, or take the agreement out of the programme's cap",
        )


def _earn_backs_count(agreement: Agreement, cap: SharedCap) -> Iterator[Finding]:
    if agreement.earn_backs and cap.window != "period" and cap.earned_back is None:
        yield Finding(
            ("earn_backs",),
            f"the shared cap {cap.cap} looks at earlier periods and does not say how earned-back "
            "credits count",
            "state earned_back in the programme's cap: still_counts or frees_the_cap",
        )
