"""Handlers: what each command of the queue does, and what it hands on.

Effects: all of them, through the doors of ``App``. A handler reads, computes, and writes
its result, its completion and its followers in one transaction.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from functools import partial
from typing import TypeVar

from etl.app import App
from etl.bus import Bus, Context, Done, NotReady, Outcome, Route, route, routes
from etl.chains import (
    IMPORTS,
    BackupTotals,
    CollectFolder,
    CollectSftp,
    DispatchTotals,
    DownloadDelivery,
    FindInsights,
    ImportCollected,
    ImportDelivery,
    InvoiceCollected,
    InvoiceImport,
    LookAtDay,
    NewTotals,
    RequestDelivery,
    SyncProvider,
)
from etl.collecting import collect_folder, collect_sftp, put_away_import
from etl.profiles import load_profile
from etl.provider_checks import about_import, provider_differences
from etl.sync import followed, sync_provider
from loaders.database import Transaction
from loaders.imports import ImportRow
from loaders.insights import settle_about
from loaders.jobs import Job
from transforms.errors import ConfigError, DeliveryRefused
from transforms.insights import PROVIDER_INVOICE
from transforms.provider_invoice import provider_invoice

FIRST_ONES_S = 5
"""How soon an import asks again whether the ones before it are through."""

C = TypeVar("C")


def bus_of(app: App) -> Bus:
    """Make the command bus of an application, with every handler."""
    return Bus(
        app.database,
        handler_table(app),
        owner=app.owner,
        lease_s=app.settings.lease_seconds,
    )


def handler_table(app: App) -> dict[str, Route]:
    """Say who serves what."""

    def bound(
        handler: Callable[[App, C, Context], Outcome],
    ) -> Callable[[C, Context], Outcome]:
        return partial(followed(handler), app)

    return routes(
        route(SyncProvider, bound(sync_provider)),
        route(CollectFolder, bound(collect_folder)),
        route(CollectSftp, bound(collect_sftp)),
        route(RequestDelivery, bound(request_delivery)),
        route(DownloadDelivery, bound(download_delivery)),
        route(ImportDelivery, bound(import_delivery)),
        route(InvoiceImport, bound(invoice_import)),
        route(ImportCollected, bound(import_delivery)),
        route(InvoiceCollected, bound(invoice_import)),
        route(DispatchTotals, bound(dispatch_totals)),
        route(NewTotals, bound(new_totals)),
        route(BackupTotals, bound(backup_totals)),
        route(FindInsights, bound(find_insights)),
        route(LookAtDay, bound(look_at_day)),
    )


def request_delivery(app: App, command: RequestDelivery, context: Context) -> Outcome:
    """Ask for a delivery once, then ask how it stands until it is ready."""
    from etl import requesting  # speaks HTTP, which few commands need

    return requesting.request_delivery(app, command, context)


def download_delivery(app: App, command: DownloadDelivery, context: Context) -> Outcome:
    """Bring a ready delivery into storage, and register its import with the completion."""
    from etl import requesting  # speaks HTTP, which few commands need

    return requesting.download_delivery(app, command, context)


def import_delivery(
    app: App, command: ImportDelivery | ImportCollected, context: Context
) -> Outcome:
    """Load a registered delivery; its completion and what follows are one commit.

    Of one provider the first that came is loaded first: a later record may replace it.
    """
    row = app.imports.find(command.import_id)
    if row is None:
        message = f"there is no import {command.import_id}; see: etl import:list"
        raise ConfigError(message)
    invoice = InvoiceImport if isinstance(command, ImportDelivery) else InvoiceCollected
    follower = (invoice(row.id),)
    if row.is_complete:
        return Done({"import_id": row.id, "status": "already_imported"}, follower)
    if before := _still_before(app, row, context.job):
        message = f"import {before} of {row.provider} came first; this one goes after it"
        return NotReady(FIRST_ONES_S, message)
    profile = load_profile(row.provider, folders=[app.settings.providers])

    def finish(tx: Transaction, done: ImportRow) -> None:
        context.finish(tx, {"import_id": done.id, **asdict(done.outcome)}, follower)

    finished = app.importer().import_stored(row, profile, finish)
    put_away_import(app, finished, profile)
    if finished.status != "done":
        raise DeliveryRefused(finished.message)
    return Done({"import_id": row.id, **asdict(finished.outcome)}, follower)


def _still_before(app: App, row: ImportRow, job: Job) -> int | None:
    """The import that must go first; an import asked for by hand waits for none."""
    if job.parent_id is None:
        return None
    return app.syncs.earlier_import(row.provider, row.id, IMPORTS)


def invoice_import(
    app: App, command: InvoiceImport | InvoiceCollected, context: Context
) -> Outcome:
    """Work out what the provider charges for an import, by customer."""
    invoiced = app.provider_invoices.compute(
        command.import_id, lambda frames: provider_invoice(frames, app.engine)
    )
    differences = provider_differences(app, command.import_id, invoiced.invoice.cost_micros)
    with app.database.transaction() as tx:
        app.provider_invoices.write(tx, invoiced)
        about = about_import(command.import_id)
        settle_about(tx, PROVIDER_INVOICE, about, differences)
        return context.finish(
            tx,
            {
                "import_id": command.import_id,
                "records": invoiced.invoice.record_count,
                "unrated": invoiced.invoice.unrated_count,
                "cost_micros": invoiced.invoice.cost_micros,
                "lines": invoiced.invoice.lines.height,
            },
            (DispatchTotals(),),
        )


def dispatch_totals(app: App, command: DispatchTotals, context: Context) -> Outcome:
    """Compute all cycles that changed, in one pass over their records."""
    day = None if command.cycle is None else date.fromisoformat(command.cycle)
    return app.totals_work.dispatch(day, context)


def new_totals(app: App, command: NewTotals, context: Context) -> Outcome:
    """Reprocess one customer's cycle, changed or not."""
    return app.totals_work.one(command.customer, date.fromisoformat(command.cycle), context)


def backup_totals(app: App, command: BackupTotals, context: Context) -> Outcome:
    """Copy totals into the backup table where their revision has no copy yet."""
    return app.totals_work.backup(command.customer, command.cycle_start, context)


def find_insights(app: App, command: FindInsights, context: Context) -> Outcome:
    """Look at the cycles whose totals changed, and keep what is found."""
    start, day = _day(command.cycle_start), _day(command.day)
    return app.insight_work.cycles(command.customer, start, day, context)


def look_at_day(app: App, command: LookAtDay, context: Context) -> Outcome:
    """Look at what has ended by a day and at what providers brought."""
    return app.insight_work.day(date.fromisoformat(command.day), context)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
