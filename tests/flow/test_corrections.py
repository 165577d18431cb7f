"""An operator backs a delivery out, and the records are as if it had never come."""

import hashlib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from etl import failpoints
from etl.chains import DispatchTotals
from etl.corrections import Corrections, OfferedAgain, Rematched, Reverted, invoice_command
from etl.handlers import bus_of
from etl.importing import nothing_follows
from etl.profiles import load_profile
from tests.flow.import_world import ANNA, BERT, EXAMPLES, World, call, write_routit
from transforms.errors import ConfigError, LeaseHeld

TMOBILE = "tmobile_calvi"
NUMBER = "31600000072"

POINTS = (
    "revert_before_begin",
    "revert_after_begin",
    "revert_after_page",
    "revert_after_page:raise:2",
    "revert_after_offer",
    "revert_before_finish",
    "revert_after_finish",
)
"""Every commit of a revert, before or after."""


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as made:
        made.own({ANNA: 1, BERT: 2, NUMBER: 1})
        yield made


def revert(world: World, import_id: int) -> Reverted:
    return corrections(world).revert(import_id, "J. Jansen", "wrong month")


def corrections(world: World) -> Corrections:
    return Corrections(world.importer, world.app.corrections_store)


def release(world: World, import_id: int) -> None:
    """Let an import go on and import it, as ``import:release`` does."""
    world.app.corrections_store.release(import_id, "J. Jansen")
    row = world.app.imports.find(import_id)
    assert row is not None
    profile = load_profile(row.provider, folders=[world.settings.providers])
    world.importer.import_stored(row, profile, nothing_follows)


def records(world: World) -> list[tuple[object, ...]]:
    return world.table("call_detail_record", "import_id", "record_id", "cost_micros")


def counts(world: World, import_id: int) -> tuple[object, ...]:
    names = "complete status records loaded duplicates conflicts suspended cost_micros"
    (found,) = world.table("import_queue", *names.split(), where=f"id = {import_id}")
    return found


def dirty(world: World) -> list[tuple[int, str]]:
    found = world.table("dirty_cycle", "customer_id", "cycle_start_date")
    return [(customer, str(start)) for customer, start in found]


def compute_totals(world: World) -> None:
    bus_of(world.app).run(DispatchTotals())


def january(world: World, *calls: str, name: str = "") -> int:
    return world.load(write_routit(world.folder / "in", calls, name)).id


def calvi(world: World, sequence: int, *charges: tuple[str, str]) -> int:
    """Load a T-Mobile delivery: record ids and what each is charged."""
    example = (EXAMPLES / "TMO_CALVI_AC9_202610_0007.tsv").read_text("utf-8").splitlines()
    cells = next(line for line in example if line.startswith("C4")).split("\t")
    lines = [example[0]]
    for record_id, charge in charges:
        lines.append("\t".join([record_id, *cells[1:16], charge, ""]))
    path = world.folder / "in" / f"TMO_CALVI_AC9_202610_{sequence:04d}.tsv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    path.with_name(path.name + ".ctl").write_text(
        f"file={path.name}\nrecords={len(charges)}\n"
        f"amount={sum(Decimal(charge) for _, charge in charges)}\n"
        f"sha256={hashlib.sha256(path.read_bytes()).hexdigest()}\n",
        encoding="utf-8",
    )
    done = world.load(path, TMOBILE)
    assert done.status == "done", done.message
    return done.id


# --- nothing is left --------------------------------------------------------------------


def test_a_reverted_delivery_leaves_no_record_and_its_cycles_wait(world: World) -> None:
    january(world, call("1"), call("2"), call("3", BERT))
    compute_totals(world)

    done = revert(world, 1)

    assert (done.figures.record_count, done.figures.cost_micros) == (3, 121_500)
    assert records(world) == []
    assert counts(world, 1) == (0, "reverted", 0, 0, 0, 0, 0, 0)
    assert dirty(world) == [(1, "2025-01-01"), (2, "2025-01-01")]
    assert world.table("import_batch", "import_id") == []
    assert world.table("import_cycle", "import_id") == []
    assert world.audit() == []


def test_who_reverted_what_and_why_is_kept(world: World) -> None:
    january(world, call("1"))

    revert(world, 1)

    names = ("import_id", "decision", "decided_by", "record_count", "cost_micros")
    assert world.table("import_decision", *names, "reason") == [
        (1, "revert", "J. Jansen", 1, 40_500, "wrong month")
    ]


def test_the_same_bytes_imported_again_are_what_they_were(world: World) -> None:
    january(world, call("1"), call("2"), call("3", "31600000099"))
    before = world.results()

    revert(world, 1)
    release(world, 1)

    assert world.results() == before
    assert world.audit() == []


def test_a_delivery_waits_for_a_person_after_its_revert(world: World) -> None:
    january(world, call("1"))

    revert(world, 1)

    assert world.app.imports.runnable("routit") == []


def test_a_revert_may_look_first_and_write_nothing(world: World) -> None:
    january(world, call("1"), call("2"))
    january(world, call("1"), call("9"), name="CDR_10001_202502.zip")
    before = world.results()

    looked = corrections(world).look(1)

    assert (looked.figures.record_count, looked.figures.cycles) == (2, 1)
    assert looked.offered == (OfferedAgain(2, records=1),)
    assert world.results() == before


def test_what_was_never_loaded_cannot_be_reverted(world: World) -> None:
    world.register(write_routit(world.folder / "in", [call("1")]))

    with pytest.raises(ConfigError, match="is waiting: nothing of it is stored"):
        revert(world, 1)


def test_a_delivery_is_not_reverted_while_its_provider_is_imported(world: World) -> None:
    january(world, call("1"))
    world.app.imports.take_provider("routit", "someone else")

    with pytest.raises(LeaseHeld, match="import:routit is held by someone else"):
        revert(world, 1)

    assert counts(world, 1)[:2] == (1, "done")


# --- what later deliveries had against it -----------------------------------------------


def test_duplicates_of_a_later_delivery_are_loaded_after_all(world: World) -> None:
    january(world, call("1"), call("2"))
    january(
        world, call("1"), call("2"), call("3", BERT), call("3", BERT), name="second.zip"
    )
    assert counts(world, 2)[2:5] == (4, 1, 3)

    done = revert(world, 1)

    assert done.offered == (OfferedAgain(2, records=2, loaded=2),)
    assert records(world) == [(2, "1", 40_500), (2, "2", 40_500), (2, "3", 40_500)]
    # The repeat within the second delivery stays what it is.
    assert counts(world, 2) == (1, "done", 4, 3, 1, 0, 0, 121_500)
    assert world.audit() == []


def test_a_record_set_aside_for_other_content_is_loaded_after_all(world: World) -> None:
    january(world, call("1"))
    january(world, call("1", Totaaltarief="9,00"), name="second.zip")
    assert counts(world, 2)[3:6] == (0, 0, 1)

    revert(world, 1)

    assert records(world) == [(2, "1", 90_000)]
    assert counts(world, 2) == (1, "done", 1, 1, 0, 0, 0, 90_000)
    assert world.table("conflict_record", "import_id") == []
    assert world.audit() == []


def test_the_next_of_several_later_deliveries_has_the_record_now(world: World) -> None:
    january(world, call("1"))
    january(world, call("1"), call("2"), name="second.zip")
    january(world, call("1"), call("3"), name="third.zip")

    done = revert(world, 1)

    assert done.offered == (
        OfferedAgain(2, records=1, loaded=1),
        OfferedAgain(3, records=1, duplicates=1),
    )
    assert world.table("duplicate_record", "import_id", "against_import_id") == [(3, 2)]
    assert world.audit() == []

    revert(world, 2)

    assert records(world) == [(3, "1", 40_500), (3, "3", 40_500)]
    assert world.audit() == []


def test_an_offered_record_whose_number_nobody_owns_now_waits(world: World) -> None:
    january(world, call("1", BERT))
    january(world, call("1", BERT), call("2"), name="second.zip")
    world.own({ANNA: 1})

    done = revert(world, 1)

    assert done.offered == (OfferedAgain(2, records=1, suspended=1),)
    assert counts(world, 2) == (1, "done", 2, 1, 0, 0, 1, 40_500)
    assert world.table("suspended_record", "import_id", "record_id") == [(2, "1")]
    assert world.audit() == []


def test_an_offered_record_goes_to_the_owner_of_today(world: World) -> None:
    january(world, call("1", BERT))
    january(world, call("1", BERT), call("2"), name="second.zip")
    world.own({ANNA: 1, BERT: 3})
    compute_totals(world)

    revert(world, 1)

    owners = world.table("call_detail_record", "customer_id", "record_id")
    assert owners == [(1, "2"), (3, "1")]
    assert dirty(world) == [(2, "2025-01-01"), (3, "2025-01-01")]
    compute_totals(world)
    assert world.audit() == []


def test_a_delivery_that_must_be_read_again_has_to_be_in_storage(world: World) -> None:
    january(world, call("1"))
    january(world, call("1"), call("2"), name="second.zip")
    row = world.app.imports.find(2)
    assert row is not None
    world.app.storage.path(row.sha256).unlink()

    with pytest.raises(ConfigError, match=r"import 2 \(second.zip\) were set aside"):
        revert(world, 1)

    assert counts(world, 1)[:2] == (1, "done")


# --- records that replaced others -------------------------------------------------------


def test_a_replaced_record_counts_again(world: World) -> None:
    calvi(world, 1, ("R1", "0.10000"), ("R2", "0.20000"))
    calvi(world, 2, ("R1", "0.15000"))
    compute_totals(world)

    done = revert(world, 2)

    assert done.figures.replaced == 1
    assert records(world) == [(1, "R1", 100_000), (1, "R2", 200_000)]
    assert world.table("superseded_record", "id") == []
    assert dirty(world) == [(1, "2026-10-01")]
    assert world.audit() == []


def test_a_record_that_was_replaced_itself_never_comes_back(world: World) -> None:
    calvi(world, 1, ("R1", "0.10000"))
    calvi(world, 2, ("R1", "0.15000"))
    calvi(world, 3, ("R1", "0.17000"))

    revert(world, 2)

    history = world.table("superseded_record", "import_id", "superseded_by_import_id")
    assert records(world) == [(3, "R1", 170_000)]
    assert history == [(1, 3)]
    assert world.audit() == []

    revert(world, 3)

    assert records(world) == [(1, "R1", 100_000)]
    assert world.audit() == []


def test_a_record_that_counts_again_has_totals_and_an_invoice_again(world: World) -> None:
    calvi(world, 1, ("R1", "0.10000"))
    bus_of(world.app).run(invoice_command(TMOBILE, 1))
    world.own({NUMBER: 2})
    calvi(world, 2, ("R1", "0.15000"))
    for import_id in (1, 2):
        bus_of(world.app).run(invoice_command(TMOBILE, import_id))
    totals = ("customer_id", "total_cost_micros")
    assert world.table("total_usage_new_table", *totals) == [(1, 0), (2, 150_000)]

    revert(world, 2)

    assert dirty(world) == [(1, "2026-10-01"), (2, "2026-10-01")]
    assert world.app.corrections_store.invoices_again == {1: TMOBILE}
    bus_of(world.app).drain()
    assert world.table("total_usage_new_table", *totals) == [(1, 100_000), (2, 0)]
    assert world.table("provider_invoice", "import_id", "cost_micros") == [(1, 100_000)]
    assert world.audit() == []


# --- interruptions ----------------------------------------------------------------------


def story(world: World) -> None:
    """Two deliveries, the second with a duplicate, a conflict and a record of its own."""
    january(world, *(call(str(n), (ANNA, BERT)[n % 2]) for n in range(4)))
    january(
        world,
        call("0"),
        call("1", BERT, Totaaltarief="9,00"),
        call("9"),
        name="second.zip",
    )


@pytest.mark.parametrize("point", POINTS)
def test_a_revert_cut_at_any_commit_is_finished_by_the_same_command(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setattr("loaders.corrections.PAGE_ROWS", 1)
    story(world)
    plan = point if ":" in point else f"{point}:raise"
    monkeypatch.setattr(failpoints, "_PLAN", failpoints.fault_plan(plan))
    with pytest.raises(failpoints.FaultInjectedError):
        revert(world, 1)
    assert world.audit() == []
    monkeypatch.setattr(failpoints, "_PLAN", None)

    if point != "revert_after_finish":
        revert(world, 1)

    assert records(world) == [(2, "0", 40_500), (2, "1", 90_000), (2, "9", 40_500)]
    assert counts(world, 1)[:2] == (0, "reverted")
    assert counts(world, 2) == (1, "done", 3, 3, 0, 0, 0, 171_000)
    assert len(world.table("import_decision", "id")) == 1
    assert world.audit() == []


def test_no_run_takes_up_an_import_that_is_being_reverted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story(world)
    plan = failpoints.fault_plan("revert_after_begin:raise")
    monkeypatch.setattr(failpoints, "_PLAN", plan)
    with pytest.raises(failpoints.FaultInjectedError):
        revert(world, 1)
    monkeypatch.setattr(failpoints, "_PLAN", None)

    third = january(world, call("0"), call("20"), name="third.zip")

    assert counts(world, 1)[:2] == (0, "reverting")
    assert world.app.imports.runnable("routit") == []
    revert(world, 1)
    assert {row[0] for row in records(world)} == {2, third}
    assert world.audit() == []


def test_a_half_loaded_delivery_is_backed_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [call(str(n)) for n in range(60)]
    path = write_routit(world.folder / "in", calls)
    plan = failpoints.fault_plan("import_after_load:raise:2")
    monkeypatch.setattr(failpoints, "_PLAN", plan)
    with pytest.raises(failpoints.FaultInjectedError):
        world.load(path)
    monkeypatch.setattr(failpoints, "_PLAN", None)
    assert 0 < len(records(world)) < 60

    revert(world, 1)

    assert records(world) == []
    assert counts(world, 1)[:2] == (0, "reverted")
    assert world.audit() == []


# --- money ------------------------------------------------------------------------------


def test_provider_invoice_and_totals_follow_a_revert(world: World) -> None:
    january(world, call("1"), call("2"))
    january(world, call("1"), call("2"), call("3"), name="second.zip")
    for import_id in (1, 2):
        bus_of(world.app).run(invoice_command("routit", import_id))
    assert world.table("provider_invoice", "import_id", "cost_micros") == [
        (1, 81_000),
        (2, 40_500),
    ]

    revert(world, 1)
    bus_of(world.app).run(invoice_command("routit", 2))

    assert world.app.corrections_store.invoices_again == {2: "routit"}
    assert world.table("provider_invoice", "import_id", "cost_micros") == [(2, 121_500)]
    totals = world.table("total_usage_new_table", "customer_id", "total_cost_micros")
    assert totals == [(1, 121_500)]
    assert world.audit() == []


def test_a_cycle_without_any_record_left_has_totals_of_nothing(world: World) -> None:
    january(world, call("1"))
    bus_of(world.app).run(invoice_command("routit", 1))

    revert(world, 1)
    compute_totals(world)

    names = ("customer_id", "revision", "cdr_count", "total_cost_micros")
    assert world.table("total_usage_new_table", *names) == [(1, 2, 0, 0)]
    assert dirty(world) == []
    assert world.audit() == []


# --- owners -----------------------------------------------------------------------------


def rematch(world: World, since: date | None = None) -> list[Rematched]:
    return corrections(world).rematch(None, since, dry_run=False)


def test_records_move_to_the_customer_that_owns_their_number_now(world: World) -> None:
    january(world, call("1"), call("2"), call("3", BERT))
    compute_totals(world)
    world.own({ANNA: 3, BERT: 2})

    assert rematch(world) == [Rematched("routit", 3, moved=2, suspended=0, cycles=2)]

    found = world.table("call_detail_record", "customer_id", "record_id")
    assert found == [(2, "3"), (3, "1"), (3, "2")]
    assert dirty(world) == [(1, "2025-01-01"), (3, "2025-01-01")]
    cycles = world.table("import_cycle", "customer_id", "record_count", "cost_micros")
    assert cycles == [(2, 1, 40_500), (3, 2, 81_000)]
    assert counts(world, 1) == (1, "done", 3, 3, 0, 0, 0, 121_500)
    assert world.audit() == []


def test_giving_records_to_their_owners_again_changes_nothing(world: World) -> None:
    january(world, call("1"), call("2"))
    world.own({ANNA: 3})
    rematch(world)
    before = world.results()

    assert rematch(world) == [Rematched("routit", 2)]

    assert world.results() == before


def test_a_record_that_nobody_owns_now_waits_again_and_comes_back(world: World) -> None:
    january(world, call("1"), call("2", BERT))
    before = world.results()["call_detail_record"]
    world.own({ANNA: 1})

    assert rematch(world) == [Rematched("routit", 2, moved=0, suspended=1, cycles=1)]

    assert counts(world, 1) == (1, "done", 2, 1, 0, 0, 1, 40_500)
    assert world.table("suspended_record", "record_id", "reason_code") == [
        ("2", "no_owner")
    ]
    assert world.audit() == []

    world.own({ANNA: 1, BERT: 2})
    world.replay()

    assert world.results()["call_detail_record"] == before
    assert counts(world, 1) == (1, "done", 2, 2, 0, 0, 0, 81_000)
    assert world.audit() == []


def test_a_delivery_that_is_half_loaded_is_finished_before_owners_are_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = failpoints.fault_plan("import_after_load:raise")
    monkeypatch.setattr(failpoints, "_PLAN", plan)
    with pytest.raises(failpoints.FaultInjectedError):
        january(world, *(call(str(n)) for n in range(60)))
    monkeypatch.setattr(failpoints, "_PLAN", None)
    world.own({ANNA: 3})

    [done] = corrections(world).rematch("routit", None, dry_run=False)

    assert done.records == 60
    assert world.table("call_detail_record", "DISTINCT customer_id") == [(3,)]
    assert counts(world, 1)[:4] == (1, "done", 60, 60)
    assert world.audit() == []


def test_a_customer_in_another_zone_has_other_wall_clocks(world: World) -> None:
    january(world, call("1", Datum="31-01-2025", Tijdstip="23:30:00"))
    world.own({ANNA: 1}, zone="Europe/Helsinki")

    rematch(world)

    found = world.table("call_detail_record", "call_date", "started_at_utc")
    assert [[str(each) for each in row] for row in found] == [
        ["2025-02-01 00:30:00", "2025-01-31 22:30:00"]
    ]
    assert (1, "2025-02-01") in dirty(world)
    assert [str(row[0]) for row in world.table("import_queue", "last_call_date")] == [
        "2025-02-01 00:30:00"
    ]
    assert world.audit() == []


def test_only_records_from_a_day_on_are_looked_at(world: World) -> None:
    january(world, call("1", Datum="05-01-2025"), call("2", Datum="20-01-2025"))
    world.own({ANNA: 3})

    assert rematch(world, date(2025, 1, 10)) == [Rematched("routit", 1, 1, 0, 2)]

    found = world.table("call_detail_record", "customer_id", "record_id")
    assert found == [(1, "1"), (3, "2")]
    assert world.audit() == []


def test_a_dry_run_counts_what_would_move_and_moves_nothing(world: World) -> None:
    january(world, call("1"), call("2", BERT))
    world.own({ANNA: 3})
    before = world.results()

    found = corrections(world).rematch("routit", None, dry_run=True)

    assert found == [Rematched("routit", 2, moved=1, suspended=1)]
    assert world.results() == before


def test_a_cut_between_two_pages_is_finished_by_the_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    january(world, *(call(str(n)) for n in range(5)))
    world.own({ANNA: 3})
    monkeypatch.setattr("etl.corrections.PAGE_ROWS", 2)
    plan = failpoints.fault_plan("rematch_after_page:raise:2")
    monkeypatch.setattr(failpoints, "_PLAN", plan)
    with pytest.raises(failpoints.FaultInjectedError):
        rematch(world)
    assert world.audit() == []
    owners = [row[0] for row in world.table("call_detail_record", "customer_id")]
    assert owners == [1, 3, 3, 3, 3]
    monkeypatch.setattr(failpoints, "_PLAN", None)

    rematch(world)

    owners = [row[0] for row in world.table("call_detail_record", "customer_id")]
    assert owners == [3, 3, 3, 3, 3]
    assert world.audit() == []


def test_a_moved_record_is_reverted_with_its_delivery(world: World) -> None:
    january(world, call("1"), call("2"))
    world.own({ANNA: 3})
    rematch(world)

    revert(world, 1)

    assert records(world) == []
    assert world.audit() == []
