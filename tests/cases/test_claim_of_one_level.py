"""Two levels fail and the claim names one: only that one is paid."""

from pathlib import Path

from tests.cases.settling import settle


def test_the_level_that_is_claimed_is_paid(tmp_path: Path) -> None:
    done = settle("claim-of-one-level", "2025-04-30", tmp_path)
    assert (done.code, done.totals("m")) == (0, {"2025-04": 20000})
    (statement,) = done.statements
    steps = {line["line"]: line["steps"][-1]["text"] for line in statement["lines"]}
    assert steps["repair"] == "not claimed; a claim must arrive by 2025-05-30"
    assert statement["figures"]["claimed-on"] == "2025-05-05"
