"""What a vendor is shown of an evaluation: its own shares, wherever they stand."""

from __future__ import annotations

from schemas.evaluation import Part
from services.catalogue.snapshot import Catalogue
from services.settlement.access import Principal
from services.settlement.explain import shown_to
from tests.settlement.builders import an_evaluation

NOTHING = Catalogue(0, {}, {}, {}, {}, {})


def _part(name: str, vendor: str) -> Part:
    return Part(part=name, vendor=vendor, amount="5")  # type: ignore[arg-type] # read as a number


def test_no_other_vendors_tickets_are_shown_that_count_elsewhere_or_are_waited_for() -> None:
    whole = an_evaluation(9700)
    (figure,) = whole.figures
    parts = (_part("t1", "nimbus"), _part("t2", "cirrus"))
    touching = (_part("t3", "cirrus"), _part("t4", "nimbus"))
    update = {"parts": parts, "touching": touching, "unfinished": ("t1", "t2")}
    whole = whole.model_copy(update={"figures": (figure.model_copy(update=update),)})

    seen, withheld = shown_to(Principal("nimbus", "vendor", "p", NOTHING), whole)
    (own,) = seen.figures
    assert (own.parts, own.touching, own.unfinished) == (parts[:1], touching[1:], ("t1",))
    assert withheld == 2 + len(figure.evidence.telling)
    assert shown_to(Principal("town", "finance", "p", NOTHING), whole) == (whole, 0)
