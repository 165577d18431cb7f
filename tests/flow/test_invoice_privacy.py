"""Personal data after its term, and on request: removed, and every figure stays true."""

import csv
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from etl import failpoints
from etl.chains import InvoiceImport
from etl.handlers import bus_of
from etl.retention import Applied, apply_retention
from etl.settings import Retention
from loaders.corrections import CorrectionStore
from tests.flow.import_world import ANNA, BERT, STRANGER, World, call
from tests.flow.invoice_world import AS_OF, JANUARY, bring, total
from tests.flow.operator_world import Desk
from transforms.errors import ConfigError

LATER = date(2999, 1, 1)
EVERYTHING = Retention(raw_days=30, cdr_days=30, delivery_days=30)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as world:
        world.own({ANNA: 1, BERT: 2})
        yield world


def apply(
    world: World,
    terms: Retention = EVERYTHING,
    as_of: date = LATER,
    *,
    dry_run: bool = False,
) -> Applied:
    return apply_retention(
        world.app, terms, as_of, dry_run=dry_run, progress=lambda _count: None
    )


def a_month(world: World) -> None:
    """Two calls of Anna, one of Bert, one of nobody, one faulty; invoiced."""
    calls = [
        call("1", Totaaltarief="100"),
        call("2", Totaaltarief="250"),
        call("3", BERT),
        call("4", STRANGER),
        call("5", Datum="31-02-2025"),
    ]
    bring(world, calls)
    bus_of(world.app).run(InvoiceImport(1), world.app.stop)
    run = world.app.invoicing.due(AS_OF)
    for invoice in run.invoices:
        world.app.documents.write(invoice, ("csv", "calls.json", "html"))


KEPT_TRUE = ("total_usage_new_table", "total_usage_line", "invoice", "invoice_line")


def figures(world: World) -> list[list[tuple[object, ...]]]:
    columns = {
        "total_usage_new_table": ("customer_id", "total_cost_micros", "cdr_count"),
        "total_usage_line": ("customer_id", "usage_type", "cost_micros", "cdr_count"),
        "invoice": ("invoice_number", "content_sha256"),
        "invoice_line": ("invoice_number", "line_no", "amount_micros"),
    }
    return [world.table(table, *columns[table]) for table in KEPT_TRUE]


def personal(world: World) -> list[int]:
    """How many rows still hold a number or a raw line."""
    return [
        int(world.rows(query)[0][0])
        for query in (
            "SELECT count(*) FROM call_detail_record",
            "SELECT count(*) FROM suspended_record WHERE raw <> '' OR subscriber <> ''",
            "SELECT count(*) FROM rejected_record WHERE raw <> ''",
        )
    ]


def test_what_is_past_its_term_is_gone_and_every_figure_stays_true(world: World) -> None:
    a_month(world)
    before = figures(world)
    assert personal(world) == [3, 1, 1]

    done = apply(world)

    assert done == Applied(
        raw_lines=2,
        unowned_records=1,
        cycles=2,
        records=3,
        cycles_left=0,
        deliveries=1,
        specifications=4,
    )
    assert personal(world) == [0, 0, 0]
    assert figures(world) == before
    assert world.table(
        "retained_aggregate", "customer_id", "usage_type", "record_count", "cost_micros"
    ) == [(1, "voice", 2, 3_500_000), (2, "voice", 1, 40_500)]
    assert world.audit() == []
    names = [path.suffix for path in (world.folder / "storage").rglob("F2025-*")]
    assert names == [".html", ".html"]


def test_applying_it_again_changes_nothing(world: World) -> None:
    a_month(world)
    apply(world)
    assert apply(world) == Applied()
    assert world.audit() == []


def test_a_dry_run_counts_and_removes_nothing(world: World) -> None:
    a_month(world)
    seen = apply(world, dry_run=True)
    assert (seen.raw_lines, seen.unowned_records, seen.deliveries) == (2, 1, 1)
    assert (seen.cycles, seen.records) == (2, 3)
    assert personal(world) == [3, 1, 1]


def test_terms_of_0_days_keep_everything(world: World) -> None:
    a_month(world)
    assert apply(world, Retention(raw_days=0)) == Applied()
    assert personal(world) == [3, 1, 1]


def test_only_what_is_past_its_own_term_is_removed(world: World) -> None:
    a_month(world)
    # January 2025 has ended by 31 January 2026 less 365 days, and not a day before.
    year = Retention(raw_days=0, cdr_days=365)
    assert apply(world, year, date(2026, 1, 31)).records == 0
    assert apply(world, year, date(2026, 2, 1)).records == 3


def test_a_cycle_that_waits_for_totals_is_left(world: World) -> None:
    a_month(world)
    world.do(
        "INSERT INTO dirty_cycle (customer_id, cycle_start_date, cycle_end_date, mark,"
        " reason) VALUES (2, '2025-01-01', '2025-02-01', 1, 'late')"
    )
    assert apply(world).records == 2
    assert world.rows("SELECT customer_id FROM call_detail_record") == [(2,)]


def test_a_cycle_with_records_its_totals_do_not_count_is_left_and_said(
    world: World,
) -> None:
    a_month(world)
    world.do("UPDATE call_detail_record SET cost_micros = 7 WHERE customer_id = 2")
    done = apply(world)
    assert (done.cycles, done.cycles_left) == (1, 1)


def test_nothing_is_computed_of_records_that_are_gone(world: World) -> None:
    a_month(world)
    apply(world)
    before = figures(world)
    with pytest.raises(ConfigError, match="its totals stay as they are"):
        world.app.totals_work.preview(1, JANUARY)
    with pytest.raises(ConfigError, match="3 records of import 1 were removed"):
        world.app.provider_invoices.compute(1, lambda _frames: pytest.fail("asked"))
    again = next(world.app.invoices.pages())[0]
    gone = f"{again.number}: its records were removed after their term"
    assert world.app.documents.write(again, ("csv", "calls.json")).missing == {
        "csv": gone,
        "calls.json": gone,
    }
    assert figures(world) == before


def test_an_import_whose_records_became_sums_cannot_be_backed_out(world: World) -> None:
    a_month(world)
    apply(world)
    before = figures(world)
    desk = Desk(world.url, world.folder)
    for more in (("--dry-run",), ()):
        ended = desk.etl("import:revert", "1", "--by", "Ann", "--reason", "test", *more)
        assert ended.code == 2
        assert "3 records of import 1 were removed after their term" in ended.err
    assert figures(world) == before
    assert world.table("import_queue", "complete", "locked", "status") == [(1, 0, "done")]
    assert world.table("import_decision", "decision") == []
    assert world.audit() == []


def test_a_removal_between_the_question_and_the_revert_stops_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_month(world)
    apply(world)
    monkeypatch.setattr(CorrectionStore, "require_all_there", lambda *_: None)
    desk = Desk(world.url, world.folder)
    assert desk.etl("import:revert", "1", "--by", "Ann", "--reason", "test").code == 2
    assert world.table("import_queue", "complete", "locked", "status") == [(1, 0, "done")]


def test_late_records_of_a_closed_cycle_wait_for_a_person(world: World) -> None:
    a_month(world)
    apply(world)
    before = figures(world)
    bring(world, [call("9", Totaaltarief="100")], "CDR_10001_202502.zip")
    total(world)
    assert figures(world) == before
    assert world.table("dirty_cycle", "customer_id") == [(1,)]
    run = world.app.invoicing.due(AS_OF)
    assert [each.status for each in run.outcomes] == []
    assert world.audit() == []


@pytest.mark.parametrize("point", ["retention_before_reduce", "retention_after_reduce"])
def test_a_run_that_breaks_off_is_gone_on_with(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    a_month(world)
    before = figures(world)
    monkeypatch.setattr(failpoints, "_PLAN", failpoints.fault_plan(f"{point}:raise:2"))
    with pytest.raises(failpoints.FaultInjectedError):
        apply(world)
    monkeypatch.setattr(failpoints, "_PLAN", None)
    assert world.audit() == []
    apply(world)
    assert personal(world) == [0, 0, 0]
    assert figures(world) == before
    assert world.audit() == []


def test_the_command_says_what_it_did(world: World) -> None:
    a_month(world)
    desk = Desk(world.url, world.folder)
    ended = desk.etl("retention:apply", "--as-of", "2999-01-01", "--json")
    assert ended.code == 0
    assert ended.document["raw_lines"] == 2
    assert ended.document["records"] == 0
    assert "(kept for ever)" in ended.err
    assert personal(world) == [3, 1, 0]


# --- on request ---------------------------------------------------------------------------


def test_everything_about_a_customer_is_handed_out(world: World, tmp_path: Path) -> None:
    a_month(world)
    desk = Desk(world.url, world.folder)
    out = tmp_path / "out"

    ended = desk.etl("customer:export", "1", "--out", str(out), "--json")

    assert ended.code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "calls.csv",
        "customer.json",
        "invoices.json",
        "set_aside.csv",
    ]
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    counts = ended.document["counts"]
    assert (counts["calls"], counts["invoices"], counts["totals"]) == (2, 1, 1)
    customer = json.loads((out / "customer.json").read_text(encoding="utf-8"))
    assert customer["customer"]["name"] == "Customer 1"
    assert [each["identifier"] for each in customer["subscriptions"]] == [f"+{ANNA}"]
    assert customer["totals"][0]["total_cost_micros"] == 3_500_000
    with (out / "calls.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert [row["record_id"] for row in rows] == ["1", "2"]
    everything = "".join(path.read_text(encoding="utf-8") for path in out.iterdir())
    assert BERT not in everything
    assert STRANGER not in everything


def test_of_an_unknown_customer_nothing_is_written(world: World, tmp_path: Path) -> None:
    ended = Desk(world.url, world.folder).etl(
        "customer:export", "77", "--out", str(tmp_path)
    )
    assert ended.code == 2
    assert list(tmp_path.glob("*.json")) == []
