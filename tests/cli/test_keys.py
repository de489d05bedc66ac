"""Keys are made for parties that a programme names, listed, and revoked; on a real database."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.catalogue.keys import UnknownKey
from services.cli.applying import apply_files
from services.cli.keys import as_json, cells, end, every, make
from services.cli.stack import Addresses
from tests.catalogue.builders import a_programme
from tests.cli.test_applying import written
from tests.ladder import Rung

PROGRAMME = a_programme()
BUYER, VENDOR = PROGRAMME.buyer, PROGRAMME.vendors[0].vendor


@pytest.fixture
async def postgres(servers: Rung, database: str, tmp_path: Path) -> str:
    """A database in which a programme is applied."""
    where = Addresses(servers.kafka, database, "", "", "")
    await apply_files(where, [written(tmp_path / "programme.yaml", PROGRAMME)])
    return database


@pytest.mark.parametrize(
    ("party", "role"),
    [
        (VENDOR, "vendor"),
        (VENDOR, "probe"),
        (BUYER, "probe"),
        (BUYER, "procurement"),
        (BUYER, "finance"),
        ("operator", "admin"),
    ],
)
async def test_a_party_gets_the_keys_of_its_side(postgres: str, party: str, role: str) -> None:
    text, warning = await make(postgres, party, role, "a test")
    assert warning is None
    (found,) = await every(postgres)
    assert cells(found)[:4] == (text.split("_")[1], party, role, "a test")
    assert text.split("_", 2)[2] not in str(as_json(found)), "the secret is kept nowhere"


@pytest.mark.parametrize("role", ["vendor", "procurement", "finance", "probe"])
async def test_who_is_named_by_no_programme_gets_no_key(postgres: str, role: str) -> None:
    with pytest.raises(ValueError, match=r"party 'nobody': no programme that is applied names it"):
        await make(postgres, "nobody", role, "a test")
    assert await every(postgres) == ()


@pytest.mark.parametrize(
    ("party", "role", "said"),
    [
        (BUYER, "vendor", f"{BUYER} is a buyer, and the role is one of a vendor; give it proc"),
        (VENDOR, "finance", f"{VENDOR} is a vendor, and the role is one of a buyer; give it ven"),
        (VENDOR, "procurement", "give it vendor or probe"),
    ],
)
async def test_a_role_of_the_other_side_is_refused_with_those_that_fit(
    postgres: str, party: str, role: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        await make(postgres, party, role, "a test")
    assert await every(postgres) == ()


async def test_before_any_programme_a_key_is_made_with_a_warning(
    servers: Rung, database: str
) -> None:
    _, warning = await make(database, "north", "vendor", "a test")
    assert warning is not None
    assert "no programme is applied yet" in warning
    assert "until one names it, as vendor" in warning


async def test_a_revoked_key_is_listed_with_the_reason(postgres: str) -> None:
    text, _ = await make(postgres, VENDOR, "vendor", "a test")
    prefix = text.split("_")[1]
    await end(postgres, prefix, "left the company")
    (found,) = await every(postgres)
    assert cells(found)[-1].endswith(": left the company")
    assert as_json(found)["reason"] == "left the company"


async def test_a_prefix_that_is_none_is_told_how_to_find_it(postgres: str) -> None:
    with pytest.raises(UnknownKey, match=r"no key has the prefix 'zzz'; 'earnback key list'"):
        await end(postgres, "zzz", "why")
