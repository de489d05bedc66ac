"""What the names in a statement mean: figures, step rules, kinds of line, standings.

Written once: the statement's page in docs/, and the text that the command prints, are made of it.
A test holds it against what the core can make.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from schemas.statement import LineKind, Standing


class FigureName(NamedTuple):
    """A named figure: its unit, what a person calls it, and what it means.

    ``label`` may hold ``{}`` for what follows the first slash of the name.
    """

    unit: str
    label: str
    means: str


MONEY = "main units"

FIGURES: Mapping[str, FigureName] = {
    "applied-to": FigureName(
        "period", "credit percent is of the charge of", "The period whose charge it is taken of."
    ),
    "at-risk/…": FigureName(
        MONEY, "at-risk amount {}", "The most that the period puts at risk under that name."
    ),
    "balance/…": FigureName(
        MONEY, "balance {}", "Left in the bank or the earn-back's balance after this period."
    ),
    "base/…": FigureName(
        MONEY,
        "base {}",
        "A charge that was looked at: base, subject where it has one, and the charge's period.",
    ),
    "carried": FigureName(
        MONEY, "carried to a later invoice", "Credit that no invoice has taken yet."
    ),
    "cash": FigureName(MONEY, "to be paid in cash", "What the invoice could not take."),
    "cash-due": FigureName("day", "cash is due on", "Last day of that payment."),
    "claim-by": FigureName(
        "day", "last day of a claim", "Last day on which a claim for the period is in time."
    ),
    "claimable": FigureName(
        MONEY,
        "if claimed in time",
        "The credits if they were claimed in time: under the agreement's own caps and small-amount "
        "rule, before shared caps, earn-backs and set-offs.",
    ),
    "claimed-on": FigureName("day", "claimed on", "The day of the claim that was in time."),
    "converted/…": FigureName(
        "words", "converted", "How an amount of another currency was converted, with the rate."
    ),
    "credit-percent": FigureName(
        "percent", "credit percent", "What the points came to, in percent of a charge."
    ),
    "credits-before-caps": FigureName(
        MONEY,
        "credits before caps",
        "Credits and penalties before claims, caps and small amounts changed them.",
    ),
    "deposit": FigureName(
        MONEY, "deposit", "Taken in the last period but one; given back in the last."
    ),
    "dispute-admitted": FigureName(
        "true or false", "dispute admitted", "Whether a dispute of the statement is admitted."
    ),
    "dispute-admitted/…": FigureName(
        "true or false", "dispute {} admitted", "The same of a dispute with a name."
    ),
    "dropped/…": FigureName(
        MONEY,
        "dropped of deferral {}",
        "Deferred credits that are lost, as the agreement ends.",
    ),
    "expired/…": FigureName(
        MONEY, "expired of balance {}", "What of a balance can no longer be used."
    ),
    "fee/…": FigureName(MONEY, "fee {}", "An incentive fee, after its minimum and maximum."),
    "headroom/…": FigureName(
        MONEY,
        "headroom of cap {} before this period's credits",
        "What the cap leaves to this period's credits: its ceiling less what was given before.",
    ),
    "invoice": FigureName(MONEY, "invoice after deduction", "Charges less what was deducted."),
    "invoice-charges": FigureName(MONEY, "charges of the invoice", "As the invoice states them."),
    "invoice-deducted": FigureName(
        MONEY, "deducted from the invoice", "Credit that the invoice took."
    ),
    "lapsed": FigureName(MONEY, "lapsed", "Credit that no invoice took and nobody owes any more."),
    "lost/…": FigureName(MONEY, "lost of retainage {}", "What of the retainage is lost."),
    "next-level-from/…": FigureName(
        "period", "next level of {} holds from", "First period of a level that moved."
    ),
    "next-level/…": FigureName(
        "the metric's unit",
        "next expected level of {}",
        "What the level asks for from the next period on; null: nothing yet.",
    ),
    "next-minimum/…": FigureName(
        "the metric's unit",
        "next minimum level of {}",
        "Its minimum from the next period on; null: none.",
    ),
    "payable": FigureName(
        MONEY, "payable", "The share of the charge that is paid, less the statement's total."
    ),
    "points": FigureName("points", "service points", "All service points of the period."),
    "released/…": FigureName(
        MONEY, "released of retainage {}", "What of the retainage is released."
    ),
    "shared-headroom/…": FigureName(
        MONEY,
        "headroom of shared cap {} before this period's credits",
        "What a cap over several agreements of one vendor leaves to this period's credits.",
    ),
    "withheld": FigureName(
        MONEY, "withheld", "What the buyer withholds for a critical failure, under its ceiling."
    ),
}
"""Every figure by name; an ellipsis stands for the names that the agreement gives."""

STEP_RULES: Mapping[str, str] = {
    "attributed": "The figure without what is not the vendor's. Value: in the metric's unit.",
    "averaged": "The mean with the periods before. Value: in the metric's unit.",
    "band": "The row of a table that the value lies in. Value: what the row gives.",
    "cap": "A cap cut credits in proportion. Value: what is left of the line, in main units.",
    "ceiling": "The credit's own ceiling held or cut it. Value: what is left, in main units.",
    "claim": "Without a claim in time nothing is paid. Value: what is left, in main units.",
    "compared": "The result compared with the expected or the minimum level.",
    "condition": "The credit's condition with the values that it read: why it is due, or not due.",
    "conversion": "An amount of another currency, with the rate. Value: in main units of the "
    "agreement's currency.",
    "counted": "What a low-volume rule counts in all. Value: a number of events.",
    "critical-failure": "Ordinary credits do not accrue. Value: what is left, in main units.",
    "default": "Whether the miss is a default. Value: the number of misses in the window.",
    "deferred": "A credit was deferred, or became payable. Value: in main units.",
    "deposit": "A deposit was taken or given back. Value: in main units.",
    "earn-back": "A credit comes back after good performance. Value: in main units.",
    "factor": "A factor of the price. Value: the factor.",
    "fee": "An incentive fee by its formula. Value: in main units.",
    "figure": "What the evaluation counted. Value: in the metric's unit.",
    "floor": "What is payable may not fall below zero. Value: what is booked of it, in main units.",
    "in-time": "What a low-volume rule counts as good. Value: a number of events.",
    "incomplete": "An occurrence that is incomplete, such as a close without an open, and "
    "how it counts.",
    "low-volume": "The ratio without so many bad events. Value: in percent.",
    "no-data": "What the level states for a period without data. Value: where it counts as one.",
    "not-asked": "A request to count an occurrence that no figure of the period counts.",
    "not-attributed": "An attribution of an occurrence that no figure of the period counts.",
    "not-over": "Outages, tickets or deliveries that count here and are not over at the end of the "
    "period.",
    "nothing-to-count": "0 of 0: there was nothing to count. Value: where it counts as one.",
    "percent": "Percent of a charge that the credit comes to. Value: in percent.",
    "points": "The points that are added up. Value: in points.",
    "points-to-money": "Points turned into money. Value: in main units.",
    "priced": "The price with its factors. Value: in main units or points.",
    "quantity": "How much is priced. Value: in the quantity's unit.",
    "quantity-rounded": "The quantity, rounded as the credit states. Value: in the same unit.",
    "rate": "Quantity times rate. Value: in main units or points.",
    "relief": "Whether a relief excuses the miss, and why.",
    "result-rounded": "The result, rounded as the level states. Value: in the metric's unit.",
    "retainage": "What of a retainage is lost. Value: in main units.",
    "rounding": "Money rounded to whole minor units. Value: in main units.",
    "set-off": "A balance pays for credits. Value: in main units.",
    "single-event": "Paid for by another level that the same event made fail. Value: what is left.",
    "small-amount": "A small total was dropped or raised. Value: what is left, in main units.",
    "units": "Units of an occurrence, after grace. Value: a number of units.",
    "counted-time": "Time of the window that counts, where not all does. Value: in seconds.",
    "bad-slices": "Slices of the clock that are downtime. Value: how many.",
    "excluded-time": "What an exclusion came to. Value: outages in it, in seconds.",
    "short-interruptions": "Interruptions that are too short to count. Value: how many.",
    "unknown-time": "Time of which nothing is known, by the heartbeat. Value: in seconds.",
    "withheld": "What the buyer withholds, under its ceiling. Value: in main units.",
}
"""Every rule of a step, and what the step's value is."""

LINE_KINDS: Mapping[LineKind, str] = {
    "service_credit": "A price adjustment for a default: the vendor owes it.",
    "penalty": "A consequence that the contract calls so: the vendor owes it.",
    "earn_back": "A credit of an earlier period that is undone: the buyer owes it.",
    "bonus": "A consequence in the vendor's favour: the buyer owes it.",
    "fee": "A fee: the buyer owes it.",
    "set_off": "A balance of the vendor pays for credits: it lowers what the vendor owes.",
    "deposit": "Taken from the vendor for deductions that come late (positive), or given back.",
}
"""Every kind of line, and who owes it."""

STANDINGS: Mapping[Standing, str] = {
    "met": "The result meets the expected level.",
    "below_expected": "It misses the expected level, and meets the minimum where there is one.",
    "below_minimum": "It misses the minimum level.",
    "excused": "It misses a level, and a relief excuses that.",
    "no_result": "There is no result: nothing was measured, or a mean lacks a period.",
    "reported": "The level has no expected level: it is measured and reported.",
}
"""Every standing of a result."""


def figure_named(name: str) -> tuple[FigureName | None, str]:
    """What a figure is, by its name in a statement, and what follows the first slash of the name.

    None for a name that is not known, such as one of a later release.
    """
    head, _, rest = name.partition("/")
    return FIGURES.get(f"{head}/…" if rest else head), rest
