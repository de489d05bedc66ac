"""What newcomers got wrong in a contract file is answered with the words that help them."""

from __future__ import annotations

import pytest

from services.cli.templates import text
from services.core.contracts.check import check
from services.core.contracts.reading import read_documents

TEMPLATE = text("cloud-uptime")


def said(contract: str) -> str:
    """All that is wrong with a contract file, a line each."""
    documents, found = read_documents(contract, "c.yaml")
    if not found:
        (programme,) = documents.programmes
        found = tuple(one for each in documents.documents for one in check(each, programme))
    return "\n".join(refusal.text() for refusal in found)


@pytest.mark.parametrize(
    ("as_it_is", "as_written", "answer"),
    [
        ("no_data: no_result", "no_data: maybe", "write miss, met, no_result or {counts_as: N}"),
        (
            "at_least: 99.9}",
            "at_least: 99,9}",
            "write numbers with a decimal point: 99.9, not 99,9",
        ),
        ("name: Cloud services", "name: Cloud: all", "put the name or text in quotes: it holds a"),
        ("currency: EUR", "currency: EUR\nextra: 3", "'extra' is not a term that is known here"),
        ("half_up", "halfup", "did you mean 'half_up'? write half_up, half_even, half_down, up"),
        (
            "          bands:",
            "          domain: {at_least: 0, below: 100}\n          bands:",
            "write domain: [lowest, highest], such as [0, 100]",
        ),
        ("at_least: 99, below: 99.9,", "at_least: 99, below: 99.89,", "99.89"),
    ],
)
def test_the_answer_names_what_to_write(as_it_is: str, as_written: str, answer: str) -> None:
    assert as_it_is in TEMPLATE
    assert answer in said(TEMPLATE.replace(as_it_is, as_written, 1))


def test_of_a_faulty_programme_only_its_fault_is_told() -> None:
    told = said(TEMPLATE.replace("time_zone: Etc/UTC", "time_zone: Mars"))
    assert "'Mars' is not an IANA zone; write one such as Europe/Berlin or UTC" in told
    assert "is not known" not in told
