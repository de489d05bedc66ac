"""The commands as people use them, one after the other, on a running installation.

The tests of this module follow one another: contracts, events, closes, statements.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services.cli.demo import AGREEMENTS, MONTHS, STORY
from services.cli.story import events as story
from tests.cli.conftest import Installation, Shell
from tests.command import Said
from tests.integration.living import wait_for


@pytest.fixture(scope="module")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's contract files."""
    folder = tmp_path_factory.mktemp("contracts")
    for path in STORY.glob("*.yaml"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def applied(installation: Installation, contracts: Path) -> Installation:
    """An installation in which the contracts are applied."""
    said = installation.shell.run("contract", "apply", contracts)
    assert said.code == 0, said.err
    wait_for("the door to know the contracts", lambda: _door_knows(installation))
    return installation


@pytest.fixture(scope="module")
def submitted(applied: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation that has seen the quarter."""
    events = [event for event in story.first_delivery() if event["id"] != "night-20250101"]
    events.insert(0, next(e for e in story.batches() if e["id"] == "night-20250101"))
    said = applied.shell.run("submit", _written(tmp_path_factory.mktemp("events"), events))
    assert said.code == 0, said.err
    applied.living.last |= {event["source"]: event["id"] for event in events}
    applied.living.wait_until_seen()
    return applied


@pytest.fixture(scope="module")
def closed(submitted: Installation) -> Installation:
    """An installation in which January is settled."""
    submitted.living.close([(agreement, MONTHS[0]) for agreement in AGREEMENTS])
    return submitted


def _door_knows(installation: Installation) -> bool:
    nothing = json.dumps({**next(story.invoices()), "data": {}}).encode()
    problem = next(installation.living.client.submit([nothing]))[0]["problem"]
    return bool(problem["code"] != "unknown-source")


def _written(folder: Path, events: Sequence[dict[str, Any]]) -> Path:
    path = folder / "events.ndjson"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


# --- contracts ----------------------------------------------------------------------------------


def test_checking_contracts_in_order_says_so_for_each(shell: Shell, contracts: Path) -> None:
    said = shell.run("contract", "check", contracts)
    assert said.code == 0
    assert "northnet.yaml: agreement northnet-wan version 1 is in order" in said.out
    assert "programme.yaml: programme acme-workplace version 1 is in order" in said.out


def test_checking_a_faulty_contract_names_line_column_reason_and_remedy(
    shell: Shell, contracts: Path, tmp_path: Path
) -> None:
    shutil.copy(contracts / "programme.yaml", tmp_path)
    text = (contracts / "cloudhaus.yaml").read_text()
    faulty = text.replace("currency: EUR", "currency: EURO")
    (tmp_path / "cloudhaus.yaml").write_text(faulty)
    said = shell.run("contract", "check", tmp_path)
    assert said.code == 1
    lines = faulty.splitlines()
    row = next(n for n, line in enumerate(lines, 1) if "EURO" in line)
    assert f"cloudhaus.yaml:{row}:1: currency: 'EURO' is no currency code; write" in said.err
    assert "such as EUR" in said.err
    assert "is in order" not in said.out


def test_a_metric_that_the_programme_lacks_is_named_with_its_place(
    shell: Shell, contracts: Path, tmp_path: Path
) -> None:
    shutil.copy(contracts / "programme.yaml", tmp_path)
    text = (contracts / "cloudhaus.yaml").read_text()
    faulty = text.replace("metric: portal-availability", "metric: portal-avialability")
    (tmp_path / "cloudhaus.yaml").write_text(faulty)
    said = shell.run("contract", "check", tmp_path)
    row = next(n for n, line in enumerate(faulty.splitlines(), 1) if "avialability" in line)
    assert said.code == 1
    assert f"cloudhaus.yaml:{row}:" in said.err
    assert "portal-avialability" in said.err
    assert "portal-availability" in said.err, "the remedy offers the nearest name"


def test_a_folder_without_contracts_is_told(shell: Shell, tmp_path: Path) -> None:
    said = shell.run("contract", "check", tmp_path)
    assert said.code == 1
    assert "no file here ends in .yaml, .yml" in said.err


def test_applying_twice_changes_nothing_and_says_so(applied: Installation, contracts: Path) -> None:
    said = applied.shell.run("contract", "apply", contracts)
    assert said.code == 0
    assert "agreement northnet-wan version 1 was applied before" in said.out
    assert "is applied" not in said.out


def test_an_applied_version_with_another_text_is_refused(
    applied: Installation, contracts: Path, tmp_path: Path
) -> None:
    text = (contracts / "deskline.yaml").read_text()
    (tmp_path / "deskline.yaml").write_text(text.replace("at_least: 97", "at_least: 96"))
    said = applied.shell.run("contract", "apply", tmp_path)
    assert said.code == 1
    assert "deskline-desk" in said.err
    assert "version" in said.err


def test_nothing_is_applied_when_one_document_is_refused(
    applied: Installation, contracts: Path, tmp_path: Path
) -> None:
    good = (contracts / "deskline.yaml").read_text().replace("deskline-desk", "deskline-night")
    (tmp_path / "good.yaml").write_text(good)
    (tmp_path / "bad.yaml").write_text(good.replace("deskline-night", "x").replace("EUR", "XYZ"))
    said = applied.shell.run("contract", "apply", tmp_path)
    assert said.code == 1
    assert "bad.yaml:" in said.err
    agreements = applied.living.client.items("/v1/agreements")
    assert sorted(each["agreement"] for each in agreements) == sorted(AGREEMENTS)


# --- events -------------------------------------------------------------------------------------


def test_each_line_that_is_not_taken_is_named_and_the_others_are_taken(
    applied: Installation, tmp_path: Path
) -> None:
    probe = next(story.probes())
    wrong = [
        {**probe, "id": "no-such-metric", "data": {"metric": "portal", "up": True}},
        {**probe, "id": "no-such-source", "source": "urn:acme:probe:door"},
        {**probe, "id": "up-as-text", "data": {**probe["data"], "up": "yes"}},
        {**probe, "id": "tomorrow", "time": "2999-01-01T00:00:00Z"},
        {**probe, "id": "two-faults", "data": {"metric": 7, "up": "yes"}},
    ]
    path = tmp_path / "some.ndjson"
    good = json.dumps(probe)
    path.write_text("\n".join([good, *(json.dumps(event) for event in wrong), "{not json", good]))
    said = applied.shell.run("submit", path)
    assert said.code == 1
    lines = said.err.splitlines()
    places = [line.partition(": ")[0] for line in lines]
    assert places == [f"some.ndjson:{n}" for n in (2, 3, 4, 5, 6, 6, 7)], "a line for each fault"
    assert "no metric 'portal'" in lines[0]
    assert "/source" in lines[1]
    assert "/data/up" in lines[2]
    assert "/time" in lines[3]
    assert {line.split(": ")[1] for line in lines[4:6]} == {"/data/metric", "/data/up"}
    assert said.out.strip() == "1 accepted, 1 duplicates, 6 rejected"


def test_events_sent_again_are_known(submitted: Installation, tmp_path: Path) -> None:
    path = _written(tmp_path, list(story.invoices()))
    said = submitted.shell.run("submit", path)
    assert said.code == 0
    assert said.out.strip() == "0 accepted, 9 duplicates, 0 rejected"


def test_a_file_that_is_not_there_is_told(installation: Installation, tmp_path: Path) -> None:
    said = installation.shell.run("submit", tmp_path / "none.ndjson")
    assert said.code == 1
    assert "none.ndjson: no such file or folder" in said.err


# --- closing, statements, explanations ------------------------------------------------------------


def test_closing_a_period_says_what_came_of_it_and_again_that_nothing_changed(
    closed: Installation,
) -> None:
    said = closed.shell.run("close", "northnet-wan", "2025-01")
    assert said.code == 0
    assert said.out.startswith("northnet-wan 2025-01: unchanged")


def test_closing_what_is_no_period_is_refused_with_the_reason(closed: Installation) -> None:
    said = closed.shell.run("close", "northnet-wan", "2025-Q1")
    assert said.code == 1
    assert "2025-Q1" in said.out + said.err
    said = closed.shell.run("close", "nobody", "2025-01")
    assert said.code == 1
    assert "nobody" in said.out + said.err


def test_statements_are_listed_and_shown(closed: Installation) -> None:
    listed = closed.shell.run("statements")
    assert listed.code == 0
    for vendor, total in (("northnet", "1600.00"), ("deskline", "166.50")):
        assert any(vendor in row and total in row for row in listed.out.splitlines())
    one = closed.shell.run("statements", "northnet-wan", "2025-01")
    assert "northnet owes acme" in one.out
    assert "portal-reachable" in one.out


def test_a_statement_as_json_is_the_document_itself(closed: Installation) -> None:
    said = closed.shell.run("statements", "northnet-wan", "2025-01", "--json")
    document = closed.living.client.document("northnet-wan", "2025-01")
    assert said.out.encode() == document + b"\n"


def test_a_statement_that_is_not_there_is_told(closed: Installation) -> None:
    said = closed.shell.run("statements", "northnet-wan", "2031-01")
    assert said.code == 1
    assert "northnet-wan for 2031-01" in said.err


def test_an_amount_is_explained_down_to_event_ids(closed: Installation) -> None:
    said = closed.shell.run("explain", "northnet-wan", "2025-01", "portal-reachable/credit")
    assert said.code == 0
    assert "1600.00 EUR" in said.out
    assert "urn:acme:probe:portal  portal-20250114T0800" in said.out
    assert "events that the amount itself is calculated from" in said.out
    (invoice,) = [
        each["id"]
        for each in story.invoices()
        if (each["data"]["agreement"], each["data"]["period"]) == ("northnet-wan", "2025-01")
    ]
    assert invoice in said.out
    read = closed.shell.run(
        "explain", "northnet-wan", "2025-01", "portal-reachable/credit", "--json"
    )
    assert json.loads(read.out)["amount"] == {
        "minor_units": 160000,
        "amount": "1600.00",
        "currency": "EUR",
    }


def test_a_line_that_is_not_there_is_told(closed: Installation) -> None:
    said = closed.shell.run("explain", "northnet-wan", "2025-01", "no-such/credit")
    assert said.code == 1
    assert "no-such/credit" in said.err


def test_a_contract_that_prices_in_another_way_is_simulated_on_what_was_evaluated(
    closed: Installation, contracts: Path, tmp_path: Path
) -> None:
    text = (contracts / "deskline.yaml").read_text().replace("version: 1", "version: 2")
    said = _simulated(closed, tmp_path, text.replace("percent: 0.5", "percent: 1"))
    assert said.code == 0, said.err
    assert _totals(said) == ["166.50", "333.00"]
    assert "counted anew" not in said.out


def test_periods_that_are_not_closed_are_left_out_of_a_simulation_and_named(
    closed: Installation, contracts: Path, tmp_path: Path
) -> None:
    text = (contracts / "deskline.yaml").read_text().replace("version: 1", "version: 2")
    file = tmp_path / "new.yaml"
    file.write_text(text.replace("percent: 0.5", "percent: 1"))
    some = closed.shell.run("contract", "simulate", file, "--against", "2025-01..2025-04")
    assert some.code == 1
    assert _totals(some) == ["166.50", "333.00"]
    assert "2025-04: not closed yet, so it is left out; close it first" in some.err
    none = closed.shell.run("contract", "simulate", file, "--against", "2025-04")
    assert (none.code, none.out) == (1, "")
    assert "none of the periods of deskline-desk asked about is closed yet (2025-04)" in none.err


def test_another_target_clock_is_simulated_on_the_stored_events_counted_anew(
    closed: Installation, contracts: Path, tmp_path: Path
) -> None:
    programme = (contracts / "programme.yaml").read_text().replace("version: 1", "version: 2")
    half = programme.replace("limit_minutes: 480", "limit_minutes: 240")
    text = f"{half}---\n{(contracts / 'deskline.yaml').read_text()}"
    said = _simulated(closed, tmp_path, text)
    assert said.code == 0, said.err
    assert "counted anew, from the stored events: tickets-in-time" in said.out
    events = _written(tmp_path, [*story.tickets(), *story.invoices()])
    files = ("--contracts", contracts, "--events", events)
    assert _totals(said) == _totals(_simulated(closed, tmp_path, text, *files))
    assert _totals(said)[0] == "166.50" != _totals(said)[1]
    document = closed.shell.run("statements", "deskline-desk", "2025-01").out
    assert "166.50" in document, "nothing is posted"


def test_a_metric_whose_events_were_never_taken_is_not_simulated_without_files(
    closed: Installation, contracts: Path, tmp_path: Path
) -> None:
    programme = (contracts / "programme.yaml").read_text().replace("version: 1", "version: 2")
    text = f"{programme}---\n{(contracts / 'deskline.yaml').read_text()}"
    said = _simulated(closed, tmp_path, text.replace("tickets-in-time", "calls"))
    assert said.code == 1
    assert "no event of calls was ever taken" in said.err
    assert "--contracts and --events" in said.err


def _simulated(installation: Installation, folder: Path, text: str, *options: str | Path) -> Said:
    file = folder / "new.yaml"
    file.write_text(text)
    against = ("--against", "2025-01", *options)
    return installation.shell.run("contract", "simulate", file, *against)


def _totals(said: Said) -> list[str]:
    """January's total as it was and as it would be."""
    (row,) = [row for row in said.out.splitlines() if row.startswith("2025-01")]
    return [cell.strip() for cell in row.split("│")[2:4]]


# --- keys ---------------------------------------------------------------------------------------


def _key_for(installation: Installation, party: str, role: str) -> Shell:
    said = installation.shell.run("key", "create", party, role)
    assert said.code == 0, said.err
    return installation.shell_of(said.out.strip())


def test_a_vendors_key_sees_its_own_statements_and_no_others(closed: Installation) -> None:
    northnet = _key_for(closed, "northnet", "vendor")
    rows = json.loads(northnet.run("statements", "--json").out)
    assert {row["vendor"] for row in rows} == {"northnet"}
    assert northnet.run("statements", "northnet-wan", "2025-01").code == 0
    for command in (
        ("statements", "cloudhaus-hosting", "2025-01"),
        ("explain", "cloudhaus-hosting", "2025-01", "portal-reachable/credit"),
        ("close", "northnet-wan", "2025-01"),
    ):
        refused = northnet.run(*command)
        assert refused.code == 1, command
        assert refused.err.startswith("earnback: "), command
        assert "3000" not in refused.out, command


def test_a_key_of_finance_reads_statements_and_does_nothing(closed: Installation) -> None:
    finance = _key_for(closed, "acme", "finance")
    assert "1600.00" in finance.run("statements", "northnet-wan").out
    assert finance.run("statements", "northnet-wan", "2025-01").code == 0
    unknown = finance.run("statements", "nothing")
    assert (unknown.code, "no agreement nothing" in unknown.err) == (1, True)
    refused = finance.run("close", "northnet-wan", "2025-01")
    assert "a key of the role procurement or admin" in refused.err
    refused = finance.run("preview", "northnet-wan", "2025-04")
    assert "a key of the role vendor, procurement or admin" in refused.err


def test_a_vendors_key_sends_from_its_own_sources_only(
    closed: Installation, tmp_path: Path
) -> None:
    deskline = _key_for(closed, "deskline", "vendor")
    ticket, batch = next(story.tickets()), next(story.batches())
    events = [{**ticket, "id": "one-more"}, {**batch, "id": "not-mine"}]
    said = deskline.run("submit", _written(tmp_path, events))
    assert said.code == 1
    assert "events.ndjson:2: /source" in said.err
    assert "reports for deskline" in said.err
    assert said.out.strip() == "1 accepted, 0 duplicates, 1 rejected"


def test_a_key_that_is_set_is_used_beside_what_earnback_up_left(
    closed: Installation, tmp_path: Path
) -> None:
    made = _key_for(closed, "northnet", "vendor").settings["EARNBACK_KEY"]
    northnet = Shell(closed.shell.home, {"EARNBACK_KEY": made})
    rows = json.loads(northnet.run("statements", "--json").out)
    assert {row["vendor"] for row in rows} == {"northnet"}
    said = northnet.run("submit", _written(tmp_path, [{**next(story.batches()), "id": "not-mine"}]))
    assert (said.code, said.out.strip()) == (1, "0 accepted, 0 duplicates, 1 rejected")
    wrong = Shell(closed.shell.home, {"EARNBACK_KEY": "eb_garbage"}).run("statements")
    assert (wrong.code, wrong.out) == (1, "")
    assert "This key is not known or was revoked." in wrong.err


def test_a_revoked_key_is_no_longer_taken(closed: Installation) -> None:
    shell = _key_for(closed, "acme", "finance")
    prefix = shell.settings["EARNBACK_KEY"].split("_")[1]
    said = closed.shell.run("key", "revoke", prefix, "left the company")
    assert said.code == 0
    wait_for("the key to be refused", lambda: shell.run("statements").code == 1)
    assert "key" in shell.run("statements").err


def test_a_role_that_is_none_is_refused_with_those_that_are(installation: Installation) -> None:
    said = installation.shell.run("key", "create", "acme", "boss")
    assert said.code == 1
    for role in ("vendor", "probe", "procurement", "finance", "admin"):
        assert role in said.err


# --- what changes later -------------------------------------------------------------------------


def test_a_close_tells_the_total_or_what_the_statement_waits_for(closed: Installation) -> None:
    said = closed.shell.run("close", "northnet-wan", "2025-01")
    assert "northnet owes acme" in said.out
    assert "1600.00" in said.out
    waits = closed.shell.run("close", "northnet-wan", "2025-05")
    assert waits.code == 0, waits.err
    outcome, why = waits.out.splitlines()
    assert outcome.startswith("northnet-wan 2025-05: closed")
    assert why.startswith("no statement yet, it waits: ")
    assert "the charge 'invoice' of 2025-05 is not known yet" in why


def test_statements_of_an_agreement_that_is_none_are_refused(closed: Installation) -> None:
    said = closed.shell.run("statements", "nope")
    assert (said.code, said.out) == (1, "")
    assert "nope" in said.err


def test_a_revision_of_one_period_needs_the_period(closed: Installation) -> None:
    said = closed.shell.run("statements", "northnet-wan", "--revision", "1")
    assert (said.code, said.out) == (1, "")
    assert "name agreement and period" in said.err


def test_statements_are_listed_by_agreement_and_period(closed: Installation) -> None:
    closed.living.close([("deskline-desk", MONTHS[1]), ("cloudhaus-hosting", MONTHS[1])])
    rows = json.loads(closed.shell.run("statements", "--json").out)
    places = [(row["agreement"], row["period"]) for row in rows]
    assert places == sorted(places)
    assert len(places) > len(AGREEMENTS)


def test_what_a_statement_was_before_stays_to_be_seen(closed: Installation, tmp_path: Path) -> None:
    begin, count = story.PORTAL_DOWN[0]
    pattern = next(story.false_alarms())
    moments = [begin + number * story.PROBE_EVERY for number in range(count)]
    events = [
        {
            **pattern,
            "id": f"back-{at:%Y%m%dT%H%M}",
            "data": {**pattern["data"], "corrects": f"portal-{at:%Y%m%dT%H%M}"},
        }
        for at in moments
    ]
    said = closed.shell.run("submit", _written(tmp_path, events))
    assert said.code == 0, said.err
    place = ("northnet-wan", "2025-01")

    def latest() -> str:
        return closed.shell.run("statements", *place).out

    wait_for("the second revision", lambda: "revision 2" in latest())
    assert "northnet-wan version 1  2025-01  revision 2" in latest()
    told = [line.partition(" of ") for line in latest().splitlines() if line.startswith("revision")]
    assert [each[0] for each in told] == ["revision 1", "revision 2"]
    assert told[0][2].endswith(": 1600.00 EUR")
    assert not told[1][2].endswith(": 1600.00 EUR")
    first = closed.shell.run("statements", *place, "--revision", "1")
    assert "1600.00" in first.out
    assert "version 1  2025-01  revision 1" in first.out
    gone = closed.shell.run("explain", *place, "portal-reachable/credit")
    assert gone.code == 1
    assert "revision 2 of northnet-wan 2025-01 has no line portal-reachable/credit" in gone.err
    assert "explain it with --revision 1" in gone.err
    shown = closed.shell.run("explain", *place, "portal-reachable/credit", "--revision", "1")
    assert "1600.00 EUR" in shown.out


# --- where nothing runs -------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell on a machine where nothing runs."""
    return Shell(tmp_path_factory.mktemp("nowhere"), {})


def test_the_first_key_needs_no_key_and_no_more_than_the_two_servers(
    installation: Installation, tmp_path: Path
) -> None:
    where = installation.living.stack.addresses
    servers = {"EARNBACK_KAFKA": where.kafka, "EARNBACK_POSTGRES": where.postgres}
    shell = Shell(tmp_path, servers)
    made = shell.run("key", "create", "operator", "admin", "--label", "the first")
    assert (made.code, made.err) == (0, "")
    assert made.out.startswith("eb_")
    listed = shell.run("key", "list")
    assert any(
        made.out.split("_")[1] in row and "the first" in row for row in listed.out.splitlines()
    )
    revoked = shell.run("key", "revoke", made.out.split("_")[1], "a test")
    assert revoked.code == 0, revoked.err


def test_commands_that_need_a_running_earnback_say_how_to_start_it(shell: Shell) -> None:
    for command in (("statements",), ("close", "a", "2025-01"), ("key", "create", "a", "vendor")):
        said = shell.run(*command)
        assert said.code == 70, command
        assert "start it with 'earnback up'" in said.err, command


def test_an_address_where_nobody_answers_is_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.client.ATTEMPTS", 2)
    away = {"EARNBACK_INGEST": "http://127.0.0.1:1", "EARNBACK_SETTLEMENT": "http://127.0.0.1:1"}
    said = Shell(shell.home, {**away, "EARNBACK_KEY": "eb_x_y"}).run("statements")
    assert said.code != 0
    assert "http://127.0.0.1:1 does not answer" in said.err


# --- recounted ------------------------------------------------------------------------------------


def test_verify_recounts_what_is_stored_and_finds_it_as_it_is(closed: Installation) -> None:
    found = closed.shell.run("verify")
    assert (found.code, found.err) == (0, "")
    assert len(found.out.splitlines()) == len(AGREEMENTS)
    assert all(", as stored" in line for line in found.out.splitlines())
    unknown = closed.shell.run("verify", "nobody")
    assert unknown.code == 1
    assert "agreement nobody is not applied" in unknown.err


# --- after an upgrade -----------------------------------------------------------------------------


def test_restate_looks_or_orders_and_says_when_nothing_is_held(closed: Installation) -> None:
    looked = closed.shell.run("restate", "--dry-run")
    assert (looked.code, looked.err) == (0, "")
    assert looked.out == "nothing is held: today's rules settle every period as it stands\n"
    ordered = closed.shell.run("restate", "northnet-wan", "--reason", "as agreed")
    assert ordered.code == 1
    assert "no period of northnet-wan can be restated" in ordered.err
    neither = closed.shell.run("restate", "northnet-wan")
    assert (neither.code, neither.err) == (
        1,
        "earnback: give --dry-run to look, or --reason with an agreement to restate\n",
    )
    nameless = closed.shell.run("restate", "--reason", "as agreed")
    assert nameless.err == "earnback: name the agreement that is to be restated\n"
