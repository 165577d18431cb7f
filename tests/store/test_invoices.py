"""Invoices in both stores: numbered without a gap, sealed, and never written twice."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from loaders.audit import differences
from loaders.database import Database, Transaction
from loaders.insights import record_insight
from loaders.invoices import InvoiceStore
from tests.flow.import_world import ask
from transforms.customer_charges import CHARGES
from transforms.errors import ContractError, MoneyError
from transforms.insights import Insight
from transforms.invoice import Draft, Invoice
from transforms.invoicing import (
    Terms,
    Usage,
    credit_amounts,
    invoice_amounts,
    terms_record,
)

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
TOTALS_SHA = "a" * 64


def draft(customer_id: int, issue_date: date = date(2026, 11, 2)) -> Draft:
    """An invoice of 12.345678 for customer 1, of 24.691356 for customer 2, and so on."""
    usage = Usage("voice", "EU", 3, 61, 0, 0, customer_id * 12_345_678)
    return Draft(
        kind="invoice",
        customer_id=customer_id,
        cycle_start_date=OCTOBER,
        cycle_end_date=NOVEMBER,
        document_no=1,
        base_revision=0,
        revision=1,
        totals_sha256=TOTALS_SHA,
        method="standard",
        currency="EUR",
        issue_date=issue_date,
        due_date=date(2026, 12, 2),
        refers_to=(),
        issued_by="",
        reason="",
        supplier={"name": "Café \u2028 <b>"},
        customer={"name": f"Klant {customer_id}"},
        terms=terms_record(Terms()),
        notes=("Een noot",),
        amounts=invoice_amounts([usage], [], Terms()),
    )


def store_totals(database: Database, customer_ids: Sequence[int]) -> None:
    rows = [
        {
            "customer_id": each,
            "cycle_start_date": OCTOBER,
            "cycle_end_date": NOVEMBER,
            "revision": 1,
            "method": "standard",
            "currency": "EUR",
            "total_cost_micros": each * 12_345_678,
            "provider_cost_micros": each * 12_345_678,
            "cdr_count": 3,
            "unrated_count": 0,
            "content_sha256": TOTALS_SHA,
        }
        for each in customer_ids
    ]
    with database.transaction() as tx:
        tx.load("total_usage_new_table", pl.DataFrame(rows))


@pytest.fixture
def store(database: Database) -> InvoiceStore:
    store_totals(database, range(1, 41))
    return InvoiceStore(database)


def nothing(_tx: Transaction) -> None:
    """Nothing more to do in the transaction."""


Change = Callable[[str], None]


@pytest.fixture
def change(database_url: str) -> Change:
    """Do what no code of ours does: change a row behind the program's back."""
    return lambda statement: void(ask(database_url, statement))


def void(_answer: object) -> None:
    """An answer that nobody reads."""


def found(database: Database) -> list[tuple[str, str]]:
    """What the audit has against invoices."""
    return [
        (one.check, one.where)
        for one in differences(database)
        if one.check.startswith("invoice")
    ]


def issue(store: InvoiceStore, *customer_ids: int) -> tuple[Invoice, ...]:
    return store.issue([draft(each) for each in customer_ids], "F", nothing).invoices


# --- numbers ------------------------------------------------------------------------------


def test_invoices_are_numbered_in_the_order_they_are_given(store: InvoiceStore) -> None:
    assert [each.number for each in issue(store, 5, 3)] == ["F2026-000001", "F2026-000002"]
    assert [each.number for each in issue(store, 9)] == ["F2026-000003"]


def test_what_was_issued_is_read_back_as_it_was(store: InvoiceStore) -> None:
    invoice = issue(store, 1)[0]
    assert store.find("F2026-000001") == invoice
    assert store.of_cycle(1, OCTOBER) == [invoice]
    assert list(store.pages()) == [[invoice]]
    assert store.find("F2026-000002") is None


def test_a_cycle_that_is_invoiced_is_left_alone(store: InvoiceStore) -> None:
    first = issue(store, 1)[0]
    again = store.issue([draft(1), draft(2)], "F", nothing)
    assert again.left == ((1, OCTOBER),)
    assert [each.number for each in again.invoices] == ["F2026-000002"]
    assert store.of_cycle(1, OCTOBER) == [first]


def test_a_transaction_that_fails_takes_no_number(store: InvoiceStore) -> None:
    def fail(_tx: Transaction) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        store.issue([draft(1), draft(2)], "F", fail)

    assert store.listed().is_empty()
    assert [each.number for each in issue(store, 3)] == ["F2026-000001"]


def test_each_year_and_each_series_begins_at_one(store: InvoiceStore) -> None:
    issue(store, 1)
    new_year = store.issue([draft(2, date(2027, 1, 1))], "F", nothing).invoices
    other = store.issue([draft(3)], "KN", nothing).invoices
    assert [each.number for each in (*new_year, *other)] == [
        "F2027-000001",
        "KN2026-000001",
    ]
    assert [each.number for each in issue(store, 4)] == ["F2026-000002"]


def test_two_years_are_never_one_transaction(store: InvoiceStore) -> None:
    with pytest.raises(ContractError, match="two years"):
        store.issue([draft(1), draft(2, date(2027, 1, 1))], "F", nothing)


def test_a_restored_sequence_is_not_used_again(store: InvoiceStore, change: Change) -> None:
    issue(store, 1, 2)
    change("UPDATE invoice_sequence SET last_number = 1")
    with pytest.raises(MoneyError, match="stands at 1 and the highest invoice is 2"):
        issue(store, 3)


def test_writers_at_once_leave_no_gap_and_use_no_number_twice(store: InvoiceStore) -> None:
    everyone = [draft(each) for each in range(1, 41)]

    def run(at: int) -> tuple[Invoice, ...]:
        # Each wants all of them, in pages of its own and in another order.
        wanted = everyone[at * 5 :] + everyone[: at * 5]
        pages = [wanted[n : n + 7] for n in range(0, 40, 7)]
        issued = [store.issue(page, "F", nothing).invoices for page in pages]
        return tuple(each for page in issued for each in page)

    with ThreadPoolExecutor(8) as pool:
        made = [invoice for batch in pool.map(run, range(8)) for invoice in batch]

    assert sorted(each.sequence_no for each in made) == list(range(1, 41))
    assert sorted(each.draft.customer_id for each in made) == list(range(1, 41))
    assert store.listed(most=100).height == 40


# --- the totals it was made from ----------------------------------------------------------


def test_a_draft_of_totals_that_changed_is_left(
    store: InvoiceStore, change: Change
) -> None:
    change("UPDATE total_usage_new_table SET revision = 2 WHERE customer_id = 1")
    done = store.issue([draft(1), draft(2)], "F", nothing)
    assert done.left == ((1, OCTOBER),)
    assert [each.draft.customer_id for each in done.invoices] == [2]


def test_a_draft_of_a_cycle_whose_records_changed_is_left(
    store: InvoiceStore, database: Database
) -> None:
    mark = pl.DataFrame(
        {
            "customer_id": [1],
            "cycle_start_date": [OCTOBER],
            "cycle_end_date": [NOVEMBER],
            "mark": [1],
            "reason": ["import 9"],
        }
    )
    with database.transaction() as tx:
        tx.load("dirty_cycle", mark)
    assert store.issue([draft(1)], "F", nothing).left == ((1, OCTOBER),)


def test_a_credit_note_needs_no_totals(store: InvoiceStore, change: Change) -> None:
    first = issue(store, 1)[0]
    change("DELETE FROM total_usage_new_table")
    note = replace(
        first.draft,
        kind="credit",
        document_no=2,
        base_revision=1,
        revision=0,
        refers_to=(first.number,),
        amounts=credit_amounts([first.draft.amounts]),
    )
    done = store.issue([note], "F", nothing)
    assert [each.draft.refers_to for each in done.invoices] == [("F2026-000001",)]
    assert [each.draft.kind for each in store.of_cycle(1, OCTOBER)] == ["invoice", "credit"]


# --- immutable ----------------------------------------------------------------------------


def test_no_statement_changes_or_removes_an_invoice() -> None:
    tables = ("invoice", "invoice_line", "invoice_vat")
    changes = [
        (path.name, table)
        for path in (Path(__file__).parents[2] / "sql").rglob("*.sql")
        for words in (path.read_text(encoding="utf-8").upper().split(),)
        for table in tables
        for verb in (("UPDATE",), ("DELETE", "FROM"), ("REPLACE", "INTO"))
        if any(
            words[at : at + len(verb) + 1] == [*verb, table.upper()]
            for at in range(len(words))
        )
    ]
    assert changes == []


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ('UPDATE invoice SET customer = \'{"name": "X"}\'', "invoice_content"),
        ("UPDATE invoice SET due_date = '2026-12-31'", "invoice_content"),
        ("UPDATE invoice_line SET quantity = 4", "invoice_content"),
        ("UPDATE invoice_line SET amount_micros = 1 WHERE line_no = 1", "invoice_lines"),
        ("UPDATE invoice_line SET amount_cents = 1 WHERE line_no = 1", "invoice_lines"),
        ("DELETE FROM invoice_line", "invoice_lines"),
        ("UPDATE invoice_vat SET vat_cents = 1", "invoice_vat"),
        ("UPDATE invoice SET usage_micros = 1", "invoice_totals"),
        ("UPDATE invoice_sequence SET last_number = 3", "invoice_sequence"),
        ("DELETE FROM invoice WHERE sequence_no = 1", "invoice_sequence"),
    ],
)
def test_the_audit_finds_what_was_changed_by_hand(
    store: InvoiceStore, database: Database, statement: str, check: str, change: Change
) -> None:
    issue(store, 1, 2)
    assert found(database) == []
    change(statement)
    assert check in [name for name, _ in found(database)]


def test_an_invoice_is_held_against_the_revision_it_was_made_from(
    store: InvoiceStore, database: Database, change: Change
) -> None:
    issue(store, 1)
    change("UPDATE total_usage_new_table SET total_cost_micros = 5, revision = 2")
    # Neither the totals nor a backup has revision 1 any more.
    assert ("invoice_totals", "invoice F2026-000001, cost in micros") in found(database)


# --- beside invoices ----------------------------------------------------------------------


def test_charges_are_replaced_as_a_whole(store: InvoiceStore, database: Database) -> None:
    one = ("recurring", "Abonnement", 25_000_000, 1, None, None)
    rows = pl.DataFrame([(1, *one), (2, *one)], CHARGES, orient="row")
    store.replace_charges(rows)
    store.replace_charges(rows.head(1))
    with database.snapshot() as tx:
        assert store.charges(tx).equals(rows.head(1))
        assert store.charges(tx, customer_id=2).is_empty()


def test_an_insight_is_recorded_once(database: Database) -> None:
    finding = Insight("jump", "warning", {"was": 1, "is": "é"}, 7, "routit", OCTOBER)
    with database.transaction() as tx:
        assert record_insight(tx, finding)
        assert not record_insight(tx, finding)
    with database.transaction() as tx:
        assert not record_insight(tx, finding)
        assert record_insight(tx, replace(finding, customer_id=8))
