"""Names that may stand side by side in pairs: the largest sets of which every pair may."""

from __future__ import annotations

from functools import lru_cache

MOST_SETS = 1000
"""So many sets are told apart. Pairs without structure among 26 names could make 8,748, and three
times as many with every three names more."""


class TooManySets(ValueError):
    """The pairs make more than `MOST_SETS` sets."""


@lru_cache(maxsize=256)
def compatible_sets(
    names: tuple[str, ...], pairs: tuple[tuple[str, str], ...]
) -> tuple[frozenset[str], ...]:
    """All sets of names of which every two are a pair, and that no further name could join.

    A name of no pair is a set by itself. Pairs of other names, and of a name with itself, say
    nothing. Raises TooManySets. Takes names one by one: the sets never become fewer, so that the
    work is bounded by `MOST_SETS` whatever the pairs are.
    """
    beside: dict[str, set[str]] = {name: set() for name in names}
    for one, other in pairs:
        if one != other and one in beside and other in beside:
            beside[one].add(other)
            beside[other].add(one)
    found: list[frozenset[str]] = []
    taken: set[str] = set()
    for name, near in beside.items():
        common = {each & near for each in found}
        largest = [
            each
            for each in common
            if not any(each <= beside[other] for other in (near & taken) - each)
        ]
        found = [each for each in found if not each <= near]
        found += [each | {name} for each in largest] if taken else [frozenset({name})]
        taken.add(name)
        if len(found) > MOST_SETS:
            raise TooManySets(
                f"the pairs let {len(names)} levels stand side by side in more than {MOST_SETS} "
                "ways"
            )
    return tuple(found)
