"""What balances pay for: only their own levels, never more than is owed, and as much as can be."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import chain, combinations

from hypothesis import given
from hypothesis import strategies as st

from services.core.adjusting.credit_room import CreditRoom
from tests.core.told import LEVEL, evaluation, settled, terms

NAMES = ("one", "two", "three")
ONE = LEVEL.replace("\nlevels:\n", "")
LEVELS = "\nlevels:\n" + "".join(
    ONE.replace("level: uptime", f"level: {name}").replace("metric: uptime", f"metric: {name}")
    for name in NAMES
)


def total(*banks: tuple[str, int]) -> int:
    """What three levels that owe 100.00 each leave, by banks (levels, opening), in cents."""
    listed = [
        f"{{bank: b{place}, usable: same_period, opening: o{place}, pays_for: {levels}}}"
        for place, (levels, _) in enumerate(banks)
    ]
    told = [(f"o{place}", {"value": opening}) for place, (_, opening) in enumerate(banks)]
    text = f"banks: [{', '.join(listed)}]\n"
    known = evaluation("2025-01", figures=dict.fromkeys(NAMES, 98), circumstances=told)
    (found,) = settled(terms(text, level=LEVELS), [known])
    return found.total_minor


def test_a_bank_of_two_levels_leaves_the_third_to_its_own() -> None:
    assert total(("[one, two]", 150), ("[three]", 100)) == 5000
    assert total(("[three]", 100), ("[one, two]", 150)) == 5000


def test_a_bank_for_all_levels_stands_beside_narrow_ones() -> None:
    assert total(("[]", 150), ("[three]", 100)) == 5000
    assert total(("[]", 250), ("[three]", 100)) == 0
    assert total(("[one]", 100), ("[]", 500), ("[one]", 70)) == 0
    assert total(("[one, two]", 500), ("[]", 500)) == 0
    assert total(("[one, two]", 500), ("[one]", 500)) == 10000


def test_a_bank_of_many_levels_gives_way_to_one_of_few() -> None:
    assert total(("[one, two]", 100), ("[one]", 100), ("[three]", 30)) == 7000
    assert total(("[two, three]", 100), ("[one, two]", 100), ("[one]", 100)) == 0


Owed = st.fixed_dictionaries({name: st.integers(0, 30) for name in (*NAMES, None)})
Banks = st.lists(
    st.tuples(st.lists(st.sampled_from(NAMES), max_size=2, unique=True), st.integers(1, 40)),
    max_size=6,
)


@given(Owed, Banks)
def test_each_takes_the_most_that_those_before_it_leave(
    owed: dict[str | None, int], banks: Sequence[tuple[list[str], int]]
) -> None:
    room = CreditRoom({name: Fraction(value) for name, value in owed.items()})
    taken: list[tuple[frozenset[str | None], int]] = []
    for levels, balance in banks:
        own = frozenset(levels or owed)
        most = min(balance, _most(owed, taken, own))
        assert min(room.left(tuple(levels)), balance) == most
        assert room.take(tuple(levels), Fraction(balance)) == most
        taken.append((own, most))


def _most(
    owed: dict[str | None, int],
    taken: Sequence[tuple[frozenset[str | None], int]],
    own: frozenset[str | None],
) -> int:
    """By Hall's theorem: every set of levels must hold what can be paid for nowhere else."""
    names = list(owed)
    sets = chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))
    return min(
        sum(owed[name] for name in held) - sum(value for levels, value in taken if levels <= held)
        for held in map(frozenset, sets)
        if own <= held
    )
