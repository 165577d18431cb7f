"""Invoices: issued whole, numbered without a gap, never changed afterwards.

Effects: the database. Rules kept here (docs/decisions/0015):

- the number comes from a locked row of ``invoice_sequence`` in the transaction that writes
  the invoice: no number is taken that is not used, and none is used twice;
- a cycle gets its next document only if the documents and the totals are still the ones
  the draft was made from; what another run issued meanwhile is left to it;
- no statement changes or removes a row of ``invoice``, ``invoice_line`` or
  ``invoice_vat``; every invoice carries the hash of its content.

Units: ``_micros`` whole micros, ``_cents`` whole cents.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Final

import polars as pl

from loaders.database import Database, Transaction
from transforms.cdr import Schema, require
from transforms.customer_charges import CHARGES
from transforms.errors import ContractError, MoneyError
from transforms.invoice import (
    CREDIT,
    Amounts,
    Draft,
    Invoice,
    InvoiceLine,
    issued,
    seal,
)
from transforms.invoice_gates import DELIVERED, UNOWNED
from transforms.rated_totals import ALLOWANCES
from transforms.reference import CUSTOMERS, SUBSCRIPTIONS
from transforms.vat import VatLine

PAGE: Final = 500
"""Customers, or invoices, of one query."""

HEADERS: Final[Schema] = {
    "invoice_number": pl.String(),
    "series": pl.String(),
    "year": pl.Int64(),
    "sequence_no": pl.Int64(),
    "kind": pl.String(),
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "cycle_end_date": pl.Date(),
    "document_no": pl.Int64(),
    "base_revision": pl.Int64(),
    "revision": pl.Int64(),
    "totals_sha256": pl.String(),
    "method": pl.String(),
    "currency": pl.String(),
    "usage_micros": pl.Int64(),
    "charges_micros": pl.Int64(),
    "rounding_micros": pl.Int64(),
    "net_cents": pl.Int64(),
    "vat_cents": pl.Int64(),
    "gross_cents": pl.Int64(),
    "issue_date": pl.Date(),
    "due_date": pl.Date(),
    "issued_by": pl.String(),
    "reason": pl.String(),
    "refers_to": pl.String(),
    "supplier": pl.String(),
    "customer": pl.String(),
    "terms": pl.String(),
    "notes": pl.String(),
    "content_sha256": pl.String(),
}
"""A row of ``invoice``; the moment it was written is the database's own."""

LINES: Final[Schema] = {
    "invoice_number": pl.String(),
    "line_no": pl.Int64(),
    "kind": pl.String(),
    "name": pl.String(),
    "usage_type": pl.String(),
    "zone": pl.String(),
    "quantity": pl.Int64(),
    "duration_s": pl.Int64(),
    "volume_bytes": pl.Int64(),
    "events": pl.Int64(),
    "amount_micros": pl.Int64(),
    "amount_cents": pl.Int64(),
    "vat_category": pl.String(),
    "vat_rate_bp": pl.Int64(),
    "vat_cents": pl.Int64(),
}
"""A row of ``invoice_line``."""

VAT: Final[Schema] = {
    "invoice_number": pl.String(),
    "category": pl.String(),
    "rate_bp": pl.Int64(),
    "taxable_cents": pl.Int64(),
    "vat_cents": pl.Int64(),
    "reason": pl.String(),
}
"""A row of ``invoice_vat``."""

DOCUMENTS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "document_no": pl.Int64(),
    "kind": pl.String(),
    "revision": pl.Int64(),
    "invoice_number": pl.String(),
}
"""What was issued for a cycle."""

TOTALS: Final[Schema] = {
    "revision": pl.Int64(),
    "method": pl.String(),
    "rate_plan": pl.String(),
    "rate_plan_version": pl.String(),
    "currency": pl.String(),
    "cdr_count": pl.Int64(),
    "unrated_count": pl.Int64(),
    "content_sha256": pl.String(),
}
"""What an invoice needs of the header of totals."""

OPEN_CYCLES: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "cycle_end_date": pl.Date(),
    **TOTALS,
}
"""Totals that are not what was invoiced last."""

USAGE: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "usage_type": pl.String(),
    "zone": pl.String(),
    "cdr_count": pl.Int64(),
    "duration_s": pl.Int64(),
    "volume_bytes": pl.Int64(),
    "events": pl.Int64(),
    "cost_micros": pl.Int64(),
}
"""A line of totals."""

CYCLE: Final[Schema] = {"customer_id": pl.Int64(), "cycle_start_date": pl.Date()}
_REVISIONS: Final[Schema] = {**CYCLE, "revision": pl.Int64()}

PLANS: Final[Schema] = {
    **_REVISIONS,
    "rate_plan": pl.String(),
    "rate_plan_version": pl.String(),
}
"""By which plan a revision of totals was made."""

Cycle = tuple[int, date]

_TEXTS_OF_DRAFT: Final = ("refers_to", "supplier", "customer", "terms", "notes")
"""Fields of a draft that are kept as JSON."""


@dataclass(frozen=True)
class IssuedSum:
    """How many invoices, deltas and credit notes there are of a currency."""

    currency: str
    count: int
    gross_cents: int


@dataclass(frozen=True)
class Issued:
    """What a write did: invoices with their numbers, and cycles left to another run."""

    invoices: tuple[Invoice, ...]
    left: tuple[Cycle, ...]


Last = Callable[[Transaction], None]
"""Called last in the transaction, with everything written."""


class InvoiceStore:
    """The door for invoices."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    # --- issuing --------------------------------------------------------------------------

    def issue(self, drafts: Sequence[Draft], series: str, last: Last) -> Issued:
        """Number and store drafts of one year in one transaction.

        Args:
            drafts: Each of a cycle of its own, with the same year of issue.
            series: What their numbers begin with.
            last: Called last in the transaction.

        Returns:
            The invoices, in the order of the drafts; and the cycles whose documents or
            totals are not what the draft was made from any more.

        Raises:
            MoneyError: When an invoice does not add up, or the sequence is not what was
                issued (a part of the database was restored).
        """
        if not drafts:
            return Issued((), ())
        years = {draft.issue_date.year for draft in drafts}
        if len(years) > 1:
            message = "invoices of two years are not issued in one transaction"
            raise ContractError(message)
        place = {"series": series, "year": years.pop()}
        self._database.run(lambda tx: tx.execute("invoice/ensure_sequence", **place))

        def work(tx: Transaction) -> Issued:
            tx.execute("invoice/lock_sequence", **place)
            sequence_no = _last_number(tx, place)
            still, left = _still_true(tx, drafts)
            invoices = tuple(
                issued(draft, series, sequence_no + count)
                for count, draft in enumerate(still, start=1)
            )
            if invoices:
                _load(tx, invoices)
                tx.execute(
                    "invoice/advance_sequence",
                    last_number=sequence_no + len(invoices),
                    **place,
                )
            last(tx)
            return Issued(invoices, left)

        return self._database.run(work)

    # --- reading --------------------------------------------------------------------------

    def find(self, number: str) -> Invoice | None:
        """Read one invoice, or None when there is none of this number."""
        with self._database.snapshot() as tx:
            frame = tx.frame("invoice/find", HEADERS, invoice_number=number)
            found = _invoices(tx, frame)
        return found[0] if found else None

    def of_cycle(self, customer_id: int, cycle_start_date: date) -> list[Invoice]:
        """Read every document of one cycle, in the order they were issued."""
        with self._database.snapshot() as tx:
            frame = tx.frame(
                "invoice/of_cycle",
                HEADERS,
                customer_id=customer_id,
                cycle_start_date=cycle_start_date,
            )
            return _invoices(tx, frame)

    def listed(
        self,
        *,
        customer_id: int | None = None,
        day: date | None = None,
        kind: str | None = None,
        most: int = 50,
    ) -> pl.DataFrame:
        """Read the headers (HEADERS) of issued invoices, the newest first."""
        with self._database.snapshot() as tx:
            return tx.frame(
                "invoice/list",
                HEADERS,
                customer_id=customer_id,
                day=day,
                kind=kind,
                most=most,
            )

    def sums(self) -> tuple[IssuedSum, ...]:
        """Count everything that was ever issued, and add it up, by currency."""
        with self._database.snapshot() as tx:
            rows = tx.rows("invoice/sums")
        return tuple(
            IssuedSum(
                str(row["currency"]), int(row["invoice_count"]), int(row["gross_cents"])
            )
            for row in rows
        )

    def pages(
        self, day: date | None = None, customer_id: int | None = None
    ) -> Iterator[list[Invoice]]:
        """Read all invoices, a page at a time, in the order of their numbers.

        Args:
            day: Only of cycles that contain this day.
            customer_id: Only this customer's.
        """
        after = ""
        while True:
            with self._database.snapshot() as tx:
                page = list(_page_after(tx, after, day, customer_id))
            if not page:
                return
            yield page
            after = page[-1].number

    def documents(self, tx: Transaction, customer_ids: Sequence[int]) -> pl.DataFrame:
        """Read what was issued (DOCUMENTS) for customers, by cycle and in order."""
        return _paged(tx, "invoice/documents", DOCUMENTS, customer_ids)

    def first_cycle(self, tx: Transaction) -> date | None:
        """Read the start of the first cycle that was ever invoiced."""
        frame = tx.frame("invoice/first_cycle", {"cycle_start_date": pl.Date()})
        first: date | None = frame["cycle_start_date"][0]
        return first

    def open_cycles(
        self, tx: Transaction, since: date, until: date, customer_id: int | None = None
    ) -> pl.DataFrame:
        """Read the totals (OPEN_CYCLES) that are not what was invoiced last.

        Args:
            tx: A snapshot.
            since: Cycles that ended before this day are left out.
            until: Cycles that end on this day or later are left out.
            customer_id: Only this customer's.
        """
        return tx.frame(
            "invoice/open_cycles",
            OPEN_CYCLES,
            since=since,
            until=until,
            customer_id=customer_id,
        )

    def totals(
        self, tx: Transaction, customer_id: int, cycle_start_date: date
    ) -> dict[str, Any] | None:
        """Read what an invoice needs of the totals (TOTALS) of one cycle."""
        frame = tx.frame(
            "invoice/cycle_totals",
            TOTALS,
            customer_id=customer_id,
            cycle_start_date=cycle_start_date,
        )
        return None if frame.is_empty() else frame.row(0, named=True)

    def customers(self, tx: Transaction) -> pl.DataFrame:
        """Read every customer (CUSTOMERS) as of a snapshot."""
        return tx.frame("reference/customers", CUSTOMERS)

    def subscriptions(self, tx: Transaction) -> pl.DataFrame:
        """Read every subscription (SUBSCRIPTIONS) as of a snapshot."""
        return tx.frame("reference/subscriptions", SUBSCRIPTIONS)

    def usage(
        self, tx: Transaction, customer_ids: Sequence[int], since: date, until: date
    ) -> pl.DataFrame:
        """Read the lines of totals (USAGE) of cycles that start in ``[since, until)``."""
        return _paged(tx, "invoice/usage", USAGE, customer_ids, since=since, until=until)

    def allowances(
        self, tx: Transaction, customer_ids: Sequence[int], since: date, until: date
    ) -> pl.DataFrame:
        """Read what allowances gave (ALLOWANCES) in cycles that start within bounds."""
        return _paged(
            tx, "invoice/allowances", ALLOWANCES, customer_ids, since=since, until=until
        )

    def dirty(self, tx: Transaction, customer_ids: Sequence[int]) -> set[Cycle]:
        """Read the cycles whose records changed since their totals."""
        frame = _paged(tx, "invoice/dirty", CYCLE, customer_ids)
        return {(int(customer_id), start) for customer_id, start in frame.iter_rows()}

    def delivered(self, tx: Transaction, since: date) -> pl.DataFrame:
        """Read which providers' deliveries touched which cycles (DELIVERED)."""
        return tx.frame("invoice/delivered", DELIVERED, since=since)

    def unowned(self, tx: Transaction) -> pl.DataFrame:
        """Read the records that wait for an owner (UNOWNED)."""
        return tx.frame("invoice/unowned", UNOWNED)

    def charges(self, tx: Transaction, customer_id: int | None = None) -> pl.DataFrame:
        """Read what is charged beside usage (CHARGES)."""
        return tx.frame("invoice/charges", CHARGES, customer_id=customer_id)

    def plan_document(self, name: str, version: str | None) -> str | None:
        """Read the texts of a rate plan's version; of the current one for None."""
        with self._database.snapshot() as tx:
            return self.plan_document_in(tx, name, version)

    def plan_document_in(
        self, tx: Transaction, name: str, version: str | None
    ) -> str | None:
        """Do what :meth:`plan_document` does, inside the caller's transaction."""
        row = tx.row("invoice/plan", rate_plan=name, version=version)
        return None if row is None else str(row["document"])

    def plans_of(
        self, tx: Transaction, invoices: Sequence[Invoice]
    ) -> dict[str, tuple[str, str]]:
        """Read by which plan, in which version, the usage of invoices was rated.

        Of several plans in one cycle, and of their versions, there is one name for all.
        """
        ids = sorted({invoice.draft.customer_id for invoice in invoices})
        frame = _paged(tx, "invoice/plans_of_revisions", PLANS, ids)
        known = {
            (customer_id, start, revision): (plan, version)
            for customer_id, start, revision, plan, version in frame.iter_rows()
        }
        return {
            invoice.number: known[key]
            for invoice in invoices
            for draft in [invoice.draft]
            for key in [(draft.customer_id, draft.cycle_start_date, draft.revision)]
            if key in known
        }

    def replace_charges(self, charges: pl.DataFrame) -> None:
        """Replace the whole list of charges (CHARGES)."""
        rows = require(charges, CHARGES, "InvoiceStore.replace_charges")

        def work(tx: Transaction) -> None:
            tx.execute("invoice/clear_charges")
            tx.load("customer_charge", rows)

        self._database.run(work)


def changed_invoices(tx: Transaction) -> Iterator[tuple[str, bool]]:
    """Read all invoices again, and tell of each whether it still is what was issued."""
    after = ""
    while page := list(_page_after(tx, after)):
        for invoice in page:
            yield invoice.number, seal(invoice) == invoice.content_sha256
        after = page[-1].number


# --- writing ------------------------------------------------------------------------------


def _last_number(tx: Transaction, place: dict[str, Any]) -> int:
    row = tx.rows("invoice/sequence", **place)[0]
    last, found = int(row["last_number"]), int(row["issued_number"])
    if last != found:
        message = (
            f"series {place['series']} of {place['year']}: the sequence stands at {last} "
            f"and the highest invoice is {found}; a part of the database was restored or "
            "changed by hand. Nothing was issued; restore both together"
        )
        raise MoneyError(message)
    return last


def _still_true(
    tx: Transaction, drafts: Sequence[Draft]
) -> tuple[list[Draft], tuple[Cycle, ...]]:
    """Keep the drafts whose cycle is still what they were made from."""
    ids = sorted({draft.customer_id for draft in drafts})
    counts: dict[Cycle, int] = {}
    for row in _paged(tx, "invoice/documents", DOCUMENTS, ids).iter_rows(named=True):
        counts[row["customer_id"], row["cycle_start_date"]] = row["document_no"]
    revisions = {
        (customer_id, start): revision
        for customer_id, start, revision in _paged(
            tx, "invoice/revisions", _REVISIONS, ids
        ).iter_rows()
    }
    dirty = set(_paged(tx, "invoice/dirty", CYCLE, ids).iter_rows())
    still, left = [], []
    for draft in drafts:
        cycle = (draft.customer_id, draft.cycle_start_date)
        is_next = draft.document_no == counts.get(cycle, 0) + 1
        is_same = draft.revision == revisions.get(cycle, 0) and cycle not in dirty
        if is_next and (is_same or draft.kind == CREDIT):
            still.append(draft)
        else:
            left.append(cycle)
    return still, tuple(left)


def _load(tx: Transaction, invoices: Sequence[Invoice]) -> None:
    headers = [_header_row(invoice) for invoice in invoices]
    lines = [
        {"invoice_number": invoice.number, **asdict(line)}
        for invoice in invoices
        for line in invoice.draft.amounts.lines
    ]
    vat = [
        {"invoice_number": invoice.number, **asdict(line)}
        for invoice in invoices
        for line in invoice.draft.amounts.vat
    ]
    tx.load("invoice", pl.DataFrame(headers, HEADERS))
    tx.load("invoice_line", pl.DataFrame(lines, LINES))
    tx.load("invoice_vat", pl.DataFrame(vat, VAT))


def _header_row(invoice: Invoice) -> dict[str, object]:
    draft = asdict(replace(invoice.draft, amounts=_sums(invoice.draft.amounts)))
    amounts = draft.pop("amounts")
    texts = {name: _json(draft.pop(name)) for name in _TEXTS_OF_DRAFT}
    return {
        "invoice_number": invoice.number,
        "series": invoice.series,
        "year": invoice.year,
        "sequence_no": invoice.sequence_no,
        "content_sha256": invoice.content_sha256,
        **draft,
        **{name: value for name, value in amounts.items() if name in HEADERS},
        **texts,
    }


def _sums(amounts: Amounts) -> Amounts:
    return replace(amounts, lines=(), vat=())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


# --- reading back -------------------------------------------------------------------------


def _page_after(
    tx: Transaction,
    number: str,
    day: date | None = None,
    customer_id: int | None = None,
) -> Iterator[Invoice]:
    frame = tx.frame(
        "invoice/all_after",
        HEADERS,
        invoice_number=number,
        day=day,
        customer_id=customer_id,
        most=PAGE,
    )
    yield from _invoices(tx, frame)


def _invoices(tx: Transaction, headers: pl.DataFrame) -> list[Invoice]:
    """Read lines and VAT of headers, and put the invoices together again."""
    numbers = headers["invoice_number"].to_list()
    lines: dict[str, list[InvoiceLine]] = {number: [] for number in numbers}
    vat: dict[str, list[VatLine]] = {number: [] for number in numbers}
    for start in range(0, len(numbers), PAGE):
        page = numbers[start : start + PAGE]
        for row in tx.frame("invoice/lines", LINES, numbers=page).iter_rows(named=True):
            lines[row.pop("invoice_number")].append(InvoiceLine(**row))
        for row in tx.frame("invoice/vat", VAT, numbers=page).iter_rows(named=True):
            vat[row.pop("invoice_number")].append(VatLine(**row))
    return [
        _invoice(row, lines[row["invoice_number"]], vat[row["invoice_number"]])
        for row in headers.iter_rows(named=True)
    ]


def _invoice(row: dict[str, Any], lines: list[InvoiceLine], vat: list[VatLine]) -> Invoice:
    texts = {name: json.loads(row[name]) for name in _TEXTS_OF_DRAFT}
    amounts = Amounts(
        **{
            name: row[name]
            for name in (
                "usage_micros",
                "charges_micros",
                "rounding_micros",
                "net_cents",
                "vat_cents",
                "gross_cents",
            )
        },
        lines=tuple(lines),
        vat=tuple(vat),
    )
    draft = Draft(
        kind=row["kind"],
        customer_id=row["customer_id"],
        cycle_start_date=row["cycle_start_date"],
        cycle_end_date=row["cycle_end_date"],
        document_no=row["document_no"],
        base_revision=row["base_revision"],
        revision=row["revision"],
        totals_sha256=row["totals_sha256"],
        method=row["method"],
        currency=row["currency"],
        issue_date=row["issue_date"],
        due_date=row["due_date"],
        refers_to=tuple(texts["refers_to"]),
        issued_by=row["issued_by"],
        reason=row["reason"],
        supplier=texts["supplier"],
        customer=texts["customer"],
        terms=texts["terms"],
        notes=tuple(texts["notes"]),
        amounts=amounts,
    )
    return Invoice(
        number=row["invoice_number"],
        series=row["series"],
        year=row["year"],
        sequence_no=row["sequence_no"],
        draft=draft,
        content_sha256=row["content_sha256"],
    )


def _paged(
    tx: Transaction,
    path: str,
    schema: Schema,
    customer_ids: Sequence[int],
    **params: object,
) -> pl.DataFrame:
    frames = [
        tx.frame(path, schema, customer_ids=list(customer_ids[at : at + PAGE]), **params)
        for at in range(0, len(customer_ids), PAGE)
    ]
    return pl.concat(frames) if frames else pl.DataFrame(schema=schema)
