"""Retention as work: what is past its term is removed, a piece at a time.

Effects: the database, the storage folder and the documents of invoices. Each piece is one
transaction or one file, so a run that was killed is gone on with by running it again. It
holds the lease on totals: nothing is computed of records that are just being removed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from etl.app import App
from etl.documents.writing import SPECIFICATIONS
from etl.failpoints import failpoint
from etl.settings import Retention
from etl.totals_work import LEASE, POLL_S, WAIT_S
from loaders.database import Transaction
from loaders.leases import Lease
from transforms.errors import LeaseHeld, Stopped, StorageError

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Applied:
    """What was removed, or would be."""

    raw_lines: int = 0
    unowned_records: int = 0
    cycles: int = 0
    records: int = 0
    cycles_left: int = 0
    """Cycles past their term that wait for totals or hold records they do not count."""
    deliveries: int = 0
    specifications: int = 0


def apply_retention(
    app: App, terms: Retention, as_of: date, *, dry_run: bool, progress: Progress
) -> Applied:
    """Remove what is past its term on a day.

    Raises:
        LeaseHeld: When totals are being computed.
        Stopped: When the process was asked to stop.
        StorageError: When a file cannot be removed.
    """
    if dry_run:
        return _looked(app, terms, as_of)
    lease = _lease(app)
    try:

        def guard(tx: Transaction) -> None:
            app.leases.require(tx, lease, app.settings.lease_seconds)

        return _Run(app, terms, as_of, guard, progress).walk()
    finally:
        app.leases.release(lease)


def _lease(app: App) -> Lease:
    """Hold the lease on totals, after waiting a little for the run that has it."""
    give_way_at = time.monotonic() + WAIT_S
    while True:
        try:
            return app.leases.acquire(LEASE, app.owner, app.settings.lease_seconds)
        except LeaseHeld:
            if time.monotonic() > give_way_at:
                raise
            time.sleep(POLL_S)


def _looked(app: App, terms: Retention, as_of: date) -> Applied:
    """Count what would be removed."""
    raw = app.retention.raw_lines(_before(as_of, terms.raw_days)) if terms.raw_days else {}
    if not terms.cdr_days:
        return Applied(
            raw_lines=sum(raw.values()), deliveries=_old_files(app, terms, as_of)
        )
    before = _before(as_of, terms.cdr_days)
    cycles = list(app.retention.cycles(before))
    return Applied(
        raw_lines=sum(raw.values()),
        unowned_records=sum(app.retention.unowned(before).values()),
        cycles=len(cycles),
        records=sum(count for *_, count in cycles),
        deliveries=_old_files(app, terms, as_of),
    )


def _old_files(app: App, terms: Retention, as_of: date) -> int:
    if not terms.delivery_days:
        return 0
    old = app.retention.deliveries(_before(as_of, terms.delivery_days))
    return sum(app.storage.path(each.sha256).is_file() for each in old)


def _before(as_of: date, days: int) -> date:
    return as_of - timedelta(days=days)


@dataclass
class _Run:
    app: App
    terms: Retention
    as_of: date
    guard: Callable[[Transaction], None]
    progress: Progress

    def walk(self) -> Applied:
        raw_lines = self.raw_lines() if self.terms.raw_days else 0
        unowned = cycles = records = left = specifications = 0
        if self.terms.cdr_days:
            before = _before(self.as_of, self.terms.cdr_days)
            unowned = sum(
                self.app.retention.forget_unowned(import_id, before)
                for import_id in self.app.retention.unowned(before)
            )
            for customer_id, start, end, _count in self.app.retention.cycles(before):
                specifications += self.specification(customer_id, start)
                failpoint("retention_before_reduce")
                removed = self.app.retention.reduce(customer_id, start, end, self.guard)
                failpoint("retention_after_reduce")
                left += removed is None
                cycles += removed is not None
                records += removed or 0
                self.progress(1)
                if self.app.stop():
                    message = "stopped after a cycle; run the same command again to go on"
                    raise Stopped(message)
        deliveries = self.deliveries() if self.terms.delivery_days else 0
        return Applied(
            raw_lines, unowned, cycles, records, left, deliveries, specifications
        )

    def raw_lines(self) -> int:
        before = _before(self.as_of, self.terms.raw_days)
        return sum(
            self.app.retention.clear_raw(import_id)
            for import_id in self.app.retention.raw_lines(before)
        )

    def specification(self, customer_id: int, start: date) -> int:
        """Remove the calls of the cycle that lie beside its invoices."""
        invoices = self.app.invoices.of_cycle(customer_id, start)
        return sum(
            _remove(self.app.documents.path(invoice, ending))
            for invoice in invoices
            for ending in SPECIFICATIONS
        )

    def deliveries(self) -> int:
        before = _before(self.as_of, self.terms.delivery_days)
        old = self.app.retention.deliveries(before)
        return sum(_remove(self.app.storage.path(each.sha256)) for each in old)


def _remove(path: Path) -> bool:
    """Remove a file; tells whether there was one."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as exc:
        message = f"cannot remove {path}: {exc.strerror}; run the command again"
        raise StorageError(message) from exc
    return True
