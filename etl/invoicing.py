"""Invoicing as work: which cycles are due, what keeps them back, and issuing the rest.

Effects: the database, through its stores. What an invoice says is decided in
``transforms.invoicing``; numbers and rows are written by ``loaders.invoices``. One cycle
that cannot be invoiced keeps no other back, and a run that was killed is gone on with by
running it again: what it had issued is found, with the same numbers.

Units: ``_cents`` whole cents.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Final, Literal

import polars as pl

from etl.failpoints import failpoint
from etl.invoice_plans import AND, Held, InvoicePlans
from etl.settings import Invoicing as InvoiceSettings
from etl.settings import Supplier
from loaders.database import Database, Transaction
from loaders.invoices import Cycle, InvoiceStore
from loaders.reference import ReferenceStore
from loaders.totals import TotalsStore
from transforms.customer_details import billing_details, details_of
from transforms.cycle import cycle_containing
from transforms.errors import ConfigError, Stopped
from transforms.invoice import CREDIT, DELTA, INVOICE, NOTHING_INVOICED, Draft, Invoice
from transforms.invoice_allowances import Given, allowance_notes
from transforms.invoice_gates import (
    Facts,
    Gate,
    Limits,
    gates,
    last_ended,
    missing_providers,
    waiting_in,
    waiting_of,
)
from transforms.invoicing import (
    LABELS,
    Charge,
    Terms,
    Usage,
    credit_amounts,
    delta_amounts,
    invoice_amounts,
    standing,
    terms_from,
    terms_record,
)
from transforms.plan_charges import Span, plan_charges
from transforms.vat import VatRule, read_percent, rule_of

INVOICES_A_COMMIT: Final = 100
"""Invoices numbered and stored in one transaction."""

OF_A_LINE: Final = ("number", "line")
"""Kinds of subscriptions that are a line, where a plan charges for each."""

A_DAY: Final = timedelta(days=1)
LAST_DAY: Final = date(9999, 12, 31)

Status = Literal[
    "issued", "corrected", "unchanged", "nothing", "blocked", "credited", "changed"
]


@dataclass(frozen=True)
class Outcome:
    """What became of one cycle.

    ``issued`` and ``corrected`` have a new invoice (of a dry run: without a number).
    ``unchanged`` was invoiced before, ``nothing`` has nothing to invoice, ``blocked`` and
    ``credited`` wait for a person, ``changed`` changed under this run: run it again.
    """

    customer_id: int
    start: date
    end: date
    status: Status
    draft: Draft | None = None
    numbers: tuple[str, ...] = ()
    """The new invoice's, or those that stand already."""
    gates: tuple[Gate, ...] = ()

    @property
    def is_new(self) -> bool:
        """Whether an invoice was made of it."""
        return self.status in ("issued", "corrected")


@dataclass(frozen=True)
class Run:
    """What a run of invoicing did."""

    as_of: date
    is_dry: bool
    outcomes: tuple[Outcome, ...]
    invoices: tuple[Invoice, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Asked:
    """One cycle that may be invoiced, with what is known of it."""

    customer: Mapping[str, Any]
    start: date
    end: date
    totals: Mapping[str, Any] | None
    documents: tuple[Mapping[str, Any], ...]

    @property
    def cycle(self) -> Cycle:
        return self.customer["customer_id"], self.start

    @property
    def revision(self) -> int:
        return NOTHING_INVOICED if self.totals is None else int(self.totals["revision"])


@dataclass
class _Known:
    """What was read in one snapshot for all cycles of a run."""

    usage: dict[Cycle, list[Usage]] = field(default_factory=dict)
    given: dict[Cycle, list[Given]] = field(default_factory=dict)
    charges: dict[int, list[Mapping[str, Any]]] = field(default_factory=dict)
    held: Mapping[int, Sequence[Held]] = field(default_factory=dict)
    lines: dict[int, list[Span]] = field(default_factory=dict)
    """From when to when customers have their numbers, where a plan charges by line."""
    dirty: set[Cycle] = field(default_factory=set)
    waiting: dict[int, list[tuple[date, int]]] = field(default_factory=dict)
    delivered: pl.DataFrame = field(default_factory=pl.DataFrame)

    def holding(self, asked: _Asked) -> list[Held]:
        """The plans with charges that a customer has on any day of a cycle."""
        return [
            held
            for held in self.held.get(asked.customer["customer_id"], ())
            if (held.valid_from or date.min) < asked.end
            and (held.valid_to or LAST_DAY) > asked.start
        ]


class Invoicing:
    """Makes invoices of totals, and credit notes of invoices."""

    def __init__(
        self,
        database: Database,
        invoices: InvoiceStore,
        totals: TotalsStore,
        reference: ReferenceStore,
        settings: InvoiceSettings,
        supplier: Supplier,
        plans: InvoicePlans,
        stop: Callable[[], bool],
    ) -> None:
        """Remember the doors and the rules; nothing is opened."""
        self._database = database
        self._invoices = invoices
        self._totals = totals
        self._reference = reference
        self._settings = settings
        self._supplier = supplier
        self._plans = plans
        self._stop = stop

    # --- what people ask for --------------------------------------------------------------

    def due(self, as_of: date, *, dry_run: bool = False) -> Run:
        """Invoice every cycle that has ended by a day and is not invoiced as it stands.

        That is each customer's last cycle, and every earlier one since the first cycle
        that was ever invoiced: what was kept back last month is due as well, and an
        invoiced cycle whose totals changed gets a delta invoice.
        """
        with self._database.snapshot() as tx:
            asked = self._due_cycles(tx, as_of)
            known = self._know(tx, asked, as_of)
        return self._run(asked, known, as_of, dry_run=dry_run)

    def cycle(
        self, customer_id: int, day: date, as_of: date, *, dry_run: bool = False
    ) -> Run:
        """Invoice one customer's cycle: the one that contains a day.

        A cycle that was credited is invoiced anew.

        Raises:
            ConfigError: When there is no such customer.
        """
        customer = self._customer(customer_id)
        wanted = cycle_containing(day, customer["cycle_day"])
        with self._database.snapshot() as tx:
            documents = self._documents(tx, [customer_id])
            one = _Asked(
                customer,
                wanted.start,
                wanted.end,
                self._invoices.totals(tx, customer_id, wanted.start),
                documents.get((customer_id, wanted.start), ()),
            )
            known = self._know(tx, [one], as_of)
        return self._run([one], known, as_of, dry_run=dry_run, is_asked_for=True)

    def credit(
        self, number: str, by: str, reason: str, as_of: date, *, dry_run: bool = False
    ) -> Run:
        """Take back what a cycle was invoiced, with one credit note over all of it.

        Args:
            number: The invoice, or any document of its cycle that stands.
            by: Who decided it.
            reason: Why; it stands on the credit note.
            as_of: The date of the credit note.
            dry_run: Make it and write nothing.

        Raises:
            ConfigError: When there is no such invoice, or it does not stand any more.
        """
        found = self._invoices.find(number)
        if found is None:
            message = f"there is no invoice {number}; see: etl invoice:list"
            raise ConfigError(message)
        cycle = (found.draft.customer_id, found.draft.cycle_start_date)
        issued = self._invoices.of_cycle(*cycle)
        by_draft = {id(each.draft): each.number for each in issued}
        stand = standing([each.draft for each in issued])
        numbers = tuple(by_draft[id(each)] for each in stand)
        if number not in numbers:
            message = f"invoice {number} was credited before; nothing of it stands"
            raise ConfigError(message)
        draft = replace(
            stand[-1],
            kind=CREDIT,
            document_no=len(issued) + 1,
            base_revision=stand[-1].revision,
            revision=NOTHING_INVOICED,
            issue_date=as_of,
            due_date=as_of,
            refers_to=numbers,
            issued_by=by,
            reason=reason,
            supplier=_texts(self._supplier),
            notes=(),
            amounts=credit_amounts([each.amounts for each in stand]),
        )
        outcome = Outcome(*cycle, draft.cycle_end_date, "issued", draft)
        return self._write([outcome], as_of, dry_run=dry_run)

    # --- which cycles ---------------------------------------------------------------------

    def _due_cycles(self, tx: Transaction, as_of: date) -> list[_Asked]:
        customers = {
            row["customer_id"]: row
            for row in self._invoices.customers(tx).iter_rows(named=True)
        }
        last = {
            each: last_ended(as_of, row["cycle_day"]) for each, row in customers.items()
        }
        first = self._invoices.first_cycle(tx) or LAST_DAY
        ends = [end for _, end in last.values()]
        since = min([first, *ends])
        found: dict[Cycle, tuple[date, Mapping[str, Any] | None]] = {}
        for row in self._invoices.open_cycles(tx, since, as_of + A_DAY).iter_rows(
            named=True
        ):
            found[row["customer_id"], row["cycle_start_date"]] = row["cycle_end_date"], row
        documents = self._documents(tx, sorted(customers))
        for row in self._totals.dirty_in(tx).iter_rows(named=True):
            cycle = (row["customer_id"], row["cycle_start_date"])
            if row["cycle_end_date"] <= as_of and cycle not in documents:
                found.setdefault(cycle, (row["cycle_end_date"], None))
        charged = self._invoices.charges(tx)["customer_id"].unique().to_list()
        for customer_id in {*charged, *self._plans.with_charges(tx)}:
            start, end = last.get(customer_id, (LAST_DAY, LAST_DAY))
            if end <= as_of and (customer_id, start) not in documents:
                found.setdefault((customer_id, start), (end, None))
        return [
            _Asked(customers[each], start, end, totals, documents.get((each, start), ()))
            for (each, start), (end, totals) in sorted(
                found.items(), key=lambda one: one[0]
            )
            if each in customers and start >= min(first, last[each][0])
        ]

    def _documents(
        self, tx: Transaction, customer_ids: Sequence[int]
    ) -> dict[Cycle, tuple[Mapping[str, Any], ...]]:
        found: dict[Cycle, tuple[Mapping[str, Any], ...]] = {}
        for row in self._invoices.documents(tx, customer_ids).iter_rows(named=True):
            cycle = (row["customer_id"], row["cycle_start_date"])
            found[cycle] = (*found.get(cycle, ()), row)
        return found

    def _customer(self, customer_id: int) -> Mapping[str, Any]:
        customers = self._reference.customers().filter(pl.col("customer_id") == customer_id)
        if customers.is_empty():
            message = (
                f"there is no customer {customer_id}; add it to customers.csv and run: "
                "etl reference:load DIR"
            )
            raise ConfigError(message)
        return customers.row(0, named=True)

    # --- what is known of them ------------------------------------------------------------

    def _know(self, tx: Transaction, asked: Sequence[_Asked], as_of: date) -> _Known:
        if not asked:
            return _Known()
        known = _Known()
        ids = sorted({each.customer["customer_id"] for each in asked})
        starts = [each.start for each in asked]
        usage = self._invoices.usage(tx, ids, min(starts), max(starts) + A_DAY)
        for customer_id, start, *figures in usage.iter_rows():
            known.usage.setdefault((customer_id, start), []).append(Usage(*figures))
        given = self._invoices.allowances(tx, ids, min(starts), max(starts) + A_DAY)
        for customer_id, start, *pool in given.iter_rows():
            known.given.setdefault((customer_id, start), []).append(Given(*pool))
        for row in self._invoices.charges(tx).iter_rows(named=True):
            known.charges.setdefault(row["customer_id"], []).append(row)
        known.held = self._plans.with_charges(tx)
        if known.held:
            subscriptions = self._invoices.subscriptions(tx)
            own = subscriptions.filter(pl.col("kind").is_in(OF_A_LINE))
            spans = own.select("customer_id", "valid_from", "valid_to")
            for customer_id, begin, end in spans.iter_rows():
                known.lines.setdefault(customer_id, []).append((begin, end))
        known.dirty = self._invoices.dirty(tx, ids)
        unowned = self._invoices.unowned(tx)
        if not unowned.is_empty():
            claims = self._invoices.subscriptions(tx)
            for customer_id, day, count in waiting_of(unowned, claims).iter_rows():
                known.waiting.setdefault(customer_id, []).append((day, count))
        known.delivered = self._invoices.delivered(tx, min(starts))
        return known

    def _charges(self, asked: _Asked, known: _Known) -> list[Charge]:
        """What is charged in a cycle beside usage: by its plans, then by hand.

        Of charges given by hand recurring ones hold that are valid on any day of it, and
        one-off ones that begin in it.
        """
        customer_id = asked.customer["customer_id"]
        found = [
            charge
            for held in known.holding(asked)
            for charge in plan_charges(
                held.plan,
                (held.valid_from, held.valid_to),
                (asked.start, asked.end),
                known.lines.get(customer_id, ()),
            )
        ]
        rows = known.charges.get(customer_id, [])
        for row in rows:
            begins = row["valid_from"] or date.min
            ends = row["valid_to"] or LAST_DAY
            is_once = row["kind"] == "one_off"
            holds = begins < asked.end if not is_once else asked.start <= begins < asked.end
            if holds and (is_once or ends > asked.start):
                found.append(
                    Charge(row["kind"], row["name"], row["amount_micros"], row["quantity"])
                )
        return found

    def _gates(
        self, asked: _Asked, known: _Known, charge_count: int, as_of: date
    ) -> tuple[Gate, ...]:
        totals = asked.totals or {}
        customer_id = asked.customer["customer_id"]
        facts = Facts(
            customer_id=customer_id,
            start=asked.start,
            end=asked.end,
            as_of=as_of,
            cdr_count=totals.get("cdr_count", 0),
            unrated_count=totals.get("unrated_count", 0),
            charge_count=charge_count,
            is_dirty=asked.cycle in known.dirty,
            waiting_count=waiting_in(
                known.waiting.get(customer_id, []), asked.start, asked.end
            ),
            missing_providers=missing_providers(known.delivered, customer_id, asked.start),
        )
        limits = Limits(self._settings.suspended_limit, self._settings.missing_delivery)
        found = gates(facts, limits)
        currency = totals.get("currency", asked.customer["currency"])
        if currency != asked.customer["currency"]:
            words = f"its totals are in {currency}, the customer's currency is another"
            found = (Gate("currency", words), *found)
        return found

    # --- making drafts --------------------------------------------------------------------

    def _run(
        self,
        asked: Iterable[_Asked],
        known: _Known,
        as_of: date,
        *,
        dry_run: bool,
        is_asked_for: bool = False,
    ) -> Run:
        outcomes = [
            self._judge(each, known, as_of, is_asked_for=is_asked_for) for each in asked
        ]
        return self._write(outcomes, as_of, dry_run=dry_run)

    def _judge(
        self, asked: _Asked, known: _Known, as_of: date, *, is_asked_for: bool
    ) -> Outcome:
        """Say what is to become of one cycle, and make its draft."""
        documents = asked.documents
        is_credited = bool(documents) and documents[-1]["kind"] == CREDIT
        stands = bool(documents) and not is_credited
        numbers = tuple(str(each["invoice_number"]) for each in documents)
        plain = Outcome(
            asked.customer["customer_id"],
            asked.start,
            asked.end,
            "unchanged",
            numbers=numbers,
        )
        if is_credited and not is_asked_for:
            return replace(plain, status="credited")
        if stands and documents[-1]["revision"] == asked.revision:
            return plain
        charges = [] if stands else self._charges(asked, known)
        found = self._gates(asked, known, len(charges), as_of)
        blocking = [gate for gate in found if gate.is_blocking]
        if stands:
            # What was invoiced and has no records any more is given back.
            blocking = [gate for gate in blocking if gate.code != "no_lines"]
        if [gate.code for gate in blocking] == ["no_lines"]:
            return replace(plain, status="nothing", gates=found)
        if blocking:
            return replace(plain, status="blocked", gates=found)
        try:
            make = self._delta if stands else self._original
            draft = make(asked, known, charges, as_of)
        except ConfigError as exc:
            return replace(plain, status="blocked", gates=(Gate("details", str(exc)),))
        if draft is None:
            return plain
        status: Status = "corrected" if stands else "issued"
        return replace(plain, status=status, draft=draft, numbers=(), gates=found)

    def _original(
        self, asked: _Asked, known: _Known, charges: list[Charge], as_of: date
    ) -> Draft | None:
        details = details_of(asked.customer["details"])
        terms = self._terms(asked, known, details)
        amounts = invoice_amounts(known.usage.get(asked.cycle, []), charges, terms)
        totals = asked.totals or {}
        return Draft(
            kind=INVOICE,
            customer_id=asked.customer["customer_id"],
            cycle_start_date=asked.start,
            cycle_end_date=asked.end,
            document_no=len(asked.documents) + 1,
            base_revision=NOTHING_INVOICED,
            revision=asked.revision,
            totals_sha256=str(totals.get("content_sha256", "")),
            method=str(totals.get("method", "")),
            currency=asked.customer["currency"],
            issue_date=as_of,
            due_date=as_of + timedelta(days=self._settings.payment_days),
            refers_to=(),
            issued_by="",
            reason="",
            supplier=_texts(self._supplier),
            customer=billing_details(
                asked.customer["customer_id"], asked.customer["name"], details
            ),
            terms=terms_record(terms),
            notes=_notes_of(asked, known, terms.language),
            amounts=amounts,
        )

    def _delta(
        self, asked: _Asked, known: _Known, _charges: list[Charge], as_of: date
    ) -> Draft | None:
        issued = self._invoices.of_cycle(*asked.cycle)
        by_draft = {id(each.draft): each.number for each in issued}
        stand = standing([each.draft for each in issued])
        terms = terms_from(stand[0].terms)
        usage = known.usage.get(asked.cycle, [])
        amounts = delta_amounts([each.amounts for each in stand], usage, terms)
        if amounts is None:
            return None
        totals = asked.totals or {}
        return replace(
            stand[0],
            kind=DELTA,
            document_no=len(issued) + 1,
            base_revision=stand[-1].revision,
            revision=asked.revision,
            totals_sha256=str(totals.get("content_sha256", "")),
            method=str(totals.get("method", "")),
            issue_date=as_of,
            due_date=as_of + timedelta(days=self._settings.payment_days),
            refers_to=tuple(by_draft[id(each)] for each in stand),
            supplier=_texts(self._supplier),
            customer=billing_details(
                asked.customer["customer_id"],
                asked.customer["name"],
                details_of(asked.customer["details"]),
            ),
            notes=_notes_of(asked, known, terms.language),
            amounts=amounts,
        )

    def _terms(self, asked: _Asked, known: _Known, details: Mapping[str, str]) -> Terms:
        """The rules a customer is invoiced by: its own, its plan's, or the usual ones."""
        usual = VatRule(
            rate_bp=read_percent(self._settings.vat_rate),
            rounding=self._settings.vat_rounding,
            mode=self._settings.rounding,
        )
        totals = asked.totals or {}
        held = known.holding(asked)
        if totals.get("rate_plan"):
            plan, version = totals["rate_plan"], totals["rate_plan_version"]
            usual = self._plans.vat(plan, version, usual)
        elif held and not totals:
            # Nothing was used; what is charged falls under the plan all the same.
            usual = self._plans.vat(AND.join(each.plan.id for each in held), None, usual)
        place = f"customer {asked.customer['customer_id']}"
        language = details.get("language", "")
        return Terms(
            rule_of(details, usual, place),
            self._settings.rounding,
            language if language in LABELS else self._settings.language,  # type: ignore[arg-type]  # proven
        )

    # --- writing --------------------------------------------------------------------------

    def _write(self, outcomes: Sequence[Outcome], as_of: date, *, dry_run: bool) -> Run:
        notes = _notes(self._supplier)
        new = [each for each in outcomes if each.draft is not None]
        if dry_run or not new:
            return Run(as_of, dry_run, tuple(outcomes), notes=notes)
        made: dict[Cycle, Invoice] = {}
        invoices: list[Invoice] = []
        for at in range(0, len(new), INVOICES_A_COMMIT):
            drafts = [each.draft for each in new[at : at + INVOICES_A_COMMIT] if each.draft]
            failpoint("invoice_before")
            written = self._invoices.issue(
                drafts,
                self._settings.series,
                lambda _tx: failpoint("invoice_before_commit"),
            )
            failpoint("invoice_after_commit")
            invoices += written.invoices
            if self._stop():
                message = (
                    f"stopped after {len(invoices)} invoices; what is issued keeps its "
                    "number, run the same command again to go on"
                )
                raise Stopped(message)
            made |= {
                (each.draft.customer_id, each.draft.cycle_start_date): each
                for each in written.invoices
            }
        told = [self._told(each, made) for each in outcomes]
        return Run(as_of, dry_run, tuple(told), tuple(invoices), notes)

    def _told(self, outcome: Outcome, made: Mapping[Cycle, Invoice]) -> Outcome:
        """Put the number to what was issued; what another run issued is found there."""
        if outcome.draft is None:
            return outcome
        cycle = (outcome.customer_id, outcome.start)
        if cycle in made:
            return replace(outcome, numbers=(made[cycle].number,))
        now = self._invoices.of_cycle(*cycle)
        is_there = bool(now) and now[-1].draft.revision == outcome.draft.revision
        return replace(
            outcome,
            status="unchanged" if is_there else "changed",
            draft=None,
            numbers=tuple(each.number for each in now),
        )


def _notes_of(asked: _Asked, known: _Known, language: str) -> tuple[str, ...]:
    """What allowances gave, as it stands on the invoice."""
    given = known.given.get(asked.cycle, [])
    return allowance_notes(given, language, asked.customer["currency"])


def _texts(supplier: Supplier) -> dict[str, str]:
    return {name: str(value) for name, value in supplier.model_dump().items() if value}


def _notes(supplier: Supplier) -> tuple[str, ...]:
    if supplier == Supplier():
        return (
            "these are invoices of the demo's supplier; put your own into [supplier] of "
            "etl.toml before you send one",
        )
    return ()
