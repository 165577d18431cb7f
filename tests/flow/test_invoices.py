"""Invoices of a whole walk: due, kept back, corrected, credited, killed and run again."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from etl.invoicing import Run
from tests import forked
from tests.flow.import_world import ANNA, BERT, STRANGER, World, call, write_routit
from tests.flow.invoice_world import AS_OF, FEBRUARY, JANUARY, bring, many_customers, total
from transforms.errors import ConfigError

PATIENCE_S = 120


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as world:
        world.own({ANNA: 1, BERT: 2})
        yield world


def statuses(run: Run) -> list[tuple[int, str, tuple[str, ...]]]:
    return [(each.customer_id, each.status, each.numbers) for each in run.outcomes]


def codes(run: Run) -> dict[int, list[str]]:
    return {each.customer_id: [gate.code for gate in each.gates] for each in run.outcomes}


def amounts(world: World, number: str) -> tuple[int, int, int, int]:
    invoice = world.app.invoices.find(number)
    assert invoice is not None
    sums = invoice.draft.amounts
    return sums.usage_micros, sums.net_cents, sums.vat_cents, sums.gross_cents


def bring_unpriced(world: World, calls: list[str], record_id: str) -> None:
    """Import calls of which one has no price, and compute the totals."""
    world.load(write_routit(world.folder, calls))
    no_price = "UPDATE call_detail_record SET cost_micros = NULL WHERE record_id ="
    world.do(f"{no_price} '{record_id}'")
    total(world)


def month(day: str, record_id: str, number: str = ANNA, price: str = "4,05") -> str:
    return call(record_id, number, Datum=f"{day}-2025", Totaaltarief=price)


# --- what is due --------------------------------------------------------------------------


def test_every_customer_with_an_ended_cycle_gets_one_invoice(world: World) -> None:
    bring(world, [call("1"), call("2", BERT), call("3", BERT), month("01-02", "4")])

    run = world.app.invoicing.due(AS_OF)

    assert statuses(run) == [
        (1, "issued", ("F2025-000001",)),
        (2, "issued", ("F2025-000002",)),
    ]
    # Two calls of 0.0405 are 0.081, that is 0.08, and 21 % of it is 0.0168.
    assert amounts(world, "F2025-000002") == (81_000, 8, 2, 10)
    assert world.audit() == []


def test_running_again_gives_the_same_numbers_and_the_same_content(world: World) -> None:
    bring(world, [call("1"), call("2", BERT)])
    world.app.invoicing.due(AS_OF)
    before = list(world.app.invoices.pages())

    assert statuses(world.app.invoicing.due(AS_OF)) == []
    again = world.app.invoicing.cycle(1, JANUARY, AS_OF)

    assert statuses(again) == [(1, "unchanged", ("F2025-000001",))]
    assert list(world.app.invoices.pages()) == before


def test_a_dry_run_writes_nothing(world: World) -> None:
    bring(world, [call("1")])
    run = world.app.invoicing.due(AS_OF, dry_run=True)
    assert statuses(run) == [(1, "issued", ())]
    assert world.rows("SELECT count(*) FROM invoice") == [(0,)]
    assert world.rows("SELECT count(*) FROM invoice_sequence") == [(0,)]


def test_a_month_that_was_kept_back_is_due_later_as_well(world: World) -> None:
    bring_unpriced(world, [call("1"), call("2", BERT)], "2")
    first = world.app.invoicing.due(AS_OF)
    assert statuses(first) == [(1, "issued", ("F2025-000001",)), (2, "blocked", ())]
    assert codes(first)[2] == ["unrated"]

    world.do("UPDATE call_detail_record SET cost_micros = 40500 WHERE cost_micros IS NULL")
    world.do(
        "INSERT INTO dirty_cycle (customer_id, cycle_start_date, cycle_end_date, mark,"
        " reason) VALUES (2, '2025-01-01', '2025-02-01', 1, 'priced')"
    )
    total(world)

    march = world.app.invoicing.due(date(2025, 3, 5))
    assert statuses(march) == [(2, "issued", ("F2025-000002",))]


def test_cycles_before_the_first_invoice_are_left_alone(world: World) -> None:
    bring(world, [month("10-12", "0").replace("12-2025", "12-2024"), call("1")])
    run = world.app.invoicing.due(AS_OF)
    assert [(each.start, each.status) for each in run.outcomes] == [(JANUARY, "issued")]


# --- gates --------------------------------------------------------------------------------


def test_one_customer_that_is_kept_back_keeps_no_other_back(world: World) -> None:
    bring_unpriced(world, [call("1"), call("2", BERT)], "1")
    run = world.app.invoicing.due(AS_OF)
    assert statuses(run) == [(1, "blocked", ()), (2, "issued", ("F2025-000001",))]


def test_records_that_wait_for_an_owner_keep_their_old_owner_back(world: World) -> None:
    world.own({ANNA: 1, BERT: 2})
    world.do("UPDATE subscription SET valid_to = '2025-01-04' WHERE customer_id = 2")
    bring(
        world, [month("03-01", "1", BERT), month("20-01", "2", BERT), call("3", STRANGER)]
    )

    run = world.app.invoicing.due(AS_OF)

    assert statuses(run) == [(2, "blocked", ())]
    assert codes(run) == {2: ["suspended"]}


def test_a_cycle_that_runs_is_not_invoiced(world: World) -> None:
    bring(world, [month("05-02", "1")])
    run = world.app.invoicing.cycle(1, FEBRUARY, AS_OF)
    assert codes(run) == {1: ["cycle_not_ended"]}


def test_a_cycle_whose_records_changed_waits_for_its_totals(world: World) -> None:
    bring(world, [call("1")])
    world.do(
        "INSERT INTO dirty_cycle (customer_id, cycle_start_date, cycle_end_date, mark,"
        " reason) VALUES (1, '2025-01-01', '2025-02-01', 1, 'late')"
    )
    assert codes(world.app.invoicing.due(AS_OF)) == {1: ["dirty"]}


def test_nothing_is_issued_for_a_cycle_without_usage(world: World) -> None:
    run = world.app.invoicing.cycle(1, JANUARY, AS_OF)
    assert statuses(run) == [(1, "nothing", ())]


def test_a_provider_that_did_not_deliver_is_told_beside_the_invoice(world: World) -> None:
    bring(world, [month("10-12", "0").replace("12-2025", "12-2024")])
    world.do(
        "INSERT INTO customer_charge (customer_id, kind, name, amount_micros, quantity)"
        " VALUES (1, 'recurring', 'Abonnement', 25000000, 1)"
    )
    run = world.app.invoicing.due(AS_OF)
    assert statuses(run) == [(1, "issued", ("F2025-000001",))]
    assert codes(run) == {1: ["missing_delivery"]}
    assert amounts(world, "F2025-000001") == (0, 2500, 525, 3025)
    assert world.audit() == []


def test_a_wrong_vat_rule_keeps_only_its_own_customer_back(world: World) -> None:
    world.do(
        'UPDATE customer SET details = \'{"vat_category": "X"}\' WHERE customer_id = 1'
    )
    bring(world, [call("1"), call("2", BERT)])
    run = world.app.invoicing.due(AS_OF)
    assert statuses(run) == [(1, "blocked", ()), (2, "issued", ("F2025-000001",))]
    assert codes(run)[1] == ["details"]


def test_an_unknown_customer_is_named(world: World) -> None:
    with pytest.raises(ConfigError, match="there is no customer 77"):
        world.app.invoicing.cycle(77, JANUARY, AS_OF)


# --- corrections --------------------------------------------------------------------------


def test_late_records_of_an_invoiced_cycle_make_a_delta_invoice(world: World) -> None:
    bring(world, [call("1", Totaaltarief="100")])
    world.app.invoicing.due(AS_OF)
    first = world.app.invoices.find("F2025-000001")

    bring(world, [call("2", Totaaltarief="250")], "CDR_10001_202502.zip")
    run = world.app.invoicing.due(AS_OF)

    assert statuses(run) == [(1, "corrected", ("F2025-000002",))]
    delta = world.app.invoices.find("F2025-000002")
    assert delta is not None
    assert (delta.draft.kind, delta.draft.refers_to) == ("delta", ("F2025-000001",))
    assert (delta.draft.base_revision, delta.draft.revision) == (1, 2)
    assert amounts(world, "F2025-000002") == (2_500_000, 250, 53, 303)
    assert world.app.invoices.find("F2025-000001") == first
    assert world.audit() == []
    assert statuses(world.app.invoicing.due(AS_OF)) == []


def test_a_change_below_a_cent_makes_no_document(world: World) -> None:
    bring(world, [call("1", Totaaltarief="100")])
    world.app.invoicing.due(AS_OF)
    bring(world, [call("2", Totaaltarief="0,1")], "CDR_10001_202502.zip")
    assert statuses(world.app.invoicing.due(AS_OF)) == [(1, "unchanged", ("F2025-000001",))]
    assert world.audit() == []


def test_a_credited_cycle_waits_for_a_person_and_is_then_invoiced_anew(
    world: World,
) -> None:
    bring(world, [call("1", Totaaltarief="100")])
    world.app.invoicing.due(AS_OF)

    note = world.app.invoicing.credit("F2025-000001", "Ann", "verkeerd adres", AS_OF)
    assert statuses(note) == [(1, "issued", ("F2025-000002",))]
    credit = world.app.invoices.find("F2025-000002")
    assert credit is not None
    assert (credit.draft.issued_by, credit.draft.reason) == ("Ann", "verkeerd adres")
    assert amounts(world, "F2025-000002") == (-1_000_000, -100, -21, -121)

    assert statuses(world.app.invoicing.due(AS_OF)) == [
        (1, "credited", ("F2025-000001", "F2025-000002"))
    ]
    anew = world.app.invoicing.cycle(1, JANUARY, AS_OF)
    assert statuses(anew) == [(1, "issued", ("F2025-000003",))]
    assert amounts(world, "F2025-000003") == (1_000_000, 100, 21, 121)
    assert world.audit() == []


def test_what_was_credited_is_not_credited_twice(world: World) -> None:
    bring(world, [call("1", Totaaltarief="100")])
    world.app.invoicing.due(AS_OF)
    world.app.invoicing.credit("F2025-000001", "Ann", "fout", AS_OF)
    with pytest.raises(ConfigError, match="was credited before"):
        world.app.invoicing.credit("F2025-000001", "Ann", "fout", AS_OF)
    with pytest.raises(ConfigError, match="there is no invoice F2025-000009"):
        world.app.invoicing.credit("F2025-000009", "Ann", "fout", AS_OF)


def test_a_credit_note_covers_the_invoice_and_its_corrections(world: World) -> None:
    bring(world, [call("1", Totaaltarief="100")])
    world.app.invoicing.due(AS_OF)
    bring(world, [call("2", Totaaltarief="250")], "CDR_10001_202502.zip")
    world.app.invoicing.due(AS_OF)
    world.app.invoicing.credit("F2025-000001", "Ann", "fout", AS_OF)
    credit = world.app.invoices.find("F2025-000003")
    assert credit is not None
    assert credit.draft.refers_to == ("F2025-000001", "F2025-000002")
    assert amounts(world, "F2025-000003") == (-3_500_000, -350, -74, -424)
    assert world.audit() == []


# --- killed, and many at once -------------------------------------------------------------


def invoicing(world: World, faults: str = "") -> forked.Forked:
    """Invoice what is due in a process of its own."""
    words = ("tests.flow.invoice_world", world.url, str(world.folder))
    return forked.start(*words, faults=faults)


@pytest.mark.parametrize(
    "fault", ["invoice_before", "invoice_before_commit", "invoice_after_commit"]
)
def test_a_killed_run_goes_on_with_the_same_numbers(world: World, fault: str) -> None:
    many_customers(world, 150)  # two commits
    plans = (f"{fault}:kill", f"{fault}:kill:2", "")
    codes = [invoicing(world, plan).wait(PATIENCE_S) for plan in plans]

    assert codes[0] == -9
    assert codes[2] == 0
    numbered = world.table("invoice", "sequence_no", "customer_id")
    assert numbered == [(each, each) for each in range(1, 151)]
    assert world.audit() == []


def test_eight_runs_at_once_leave_no_gap_and_invoice_nobody_twice(world: World) -> None:
    many_customers(world, 60)
    at_once = [invoicing(world) for _ in range(8)]

    assert [each.wait(PATIENCE_S) for each in at_once] == [0] * 8
    assert [row[0] for row in world.table("invoice", "sequence_no")] == list(range(1, 61))
    assert [row[0] for row in world.table("invoice", "customer_id")] == list(range(1, 61))
    assert world.audit() == []
