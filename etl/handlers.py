"""Handlers: what each command of the queue does, and what it hands on.

Effects: all of them, through the doors of ``App``. A handler reads, computes, and writes
its result, its completion and its followers in one transaction.
"""

import random
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypeVar

from etl.app import App
from etl.bus import Bus, Context, Done, NotReady, Outcome, Route, route, routes
from etl.chains import (
    IMPORTS,
    ROUTIT,
    BackupTotals,
    CollectFolder,
    CollectSftp,
    DispatchTotals,
    DownloadDelivery,
    ImportCollected,
    ImportDelivery,
    InvoiceCollected,
    InvoiceImport,
    NewTotals,
    RequestDelivery,
    SyncProvider,
)
from etl.collecting import collect_folder, collect_sftp, put_away_import
from etl.extract.routit import (
    LinkExpired,
    Pending,
    Ready,
    RoutitClient,
    is_given_up,
    next_wait_s,
)
from etl.feeds import routit_client
from etl.profiles import load_profile
from etl.provider_checks import difference_from_delivery
from etl.registering import register_stored
from etl.sync import followed, sync_provider
from loaders.database import Transaction
from loaders.imports import ImportRow
from loaders.insights import record_insight
from loaders.jobs import Job
from loaders.requests import RequestedDelivery
from transforms.errors import ConfigError, DeliveryRefused, SourceError
from transforms.profile import Profile
from transforms.provider_invoice import provider_invoice

FIRST_ONES_S = 5
"""How soon an import asks again whether the ones before it are through."""

FOR_A_PERSON = ("held", "refused", "failed", "reverted")
"""Imports that nobody but a person lets go on."""

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
    )


def request_delivery(app: App, command: RequestDelivery, context: Context) -> Outcome:
    """Ask for a delivery once, then ask how it stands until it is ready.

    A worker never waits here: what is not ready comes back to the queue. What was
    downloaded before is not asked for again, unless the command says so.
    """
    asked = app.requests.find(ROUTIT, command.account, command.period)
    if asked is not None and asked.status == "downloaded" and not command.again:
        return _downloaded_before(app, asked)
    client, profile = _routit(app)
    if asked is None or asked.status == "downloaded":
        requested = client.request(command.account, command.period)
        asked = RequestedDelivery(
            ROUTIT, command.account, command.period, requested.request_id, "requested"
        )
        app.requests.keep(asked)
    state = client.status(asked.request_id)
    if isinstance(state, Pending):
        return _not_ready(profile, context.job, state)
    follower = DownloadDelivery(command.account, command.period)
    return Done({"request_id": asked.request_id, "state": "ready"}, (follower,))


def _downloaded_before(app: App, asked: RequestedDelivery) -> Done:
    """Go on from the import, unless it is through or waits for a person."""
    row = None if asked.import_id is None else app.imports.find(asked.import_id)
    if row is None:
        message = (
            f"RoutIT's delivery of {asked.period} was downloaded, but its import is gone; "
            f"run: etl routit:request --account={asked.account} --period={asked.period} "
            "--again"
        )
        raise ConfigError(message)
    found = f"{asked.period} was already downloaded as import {row.id} ({row.status})"
    result = {"import_id": row.id, "state": "downloaded", "found": found}
    is_over = app.syncs.is_invoiced(row.id) or row.status in FOR_A_PERSON
    return Done(result, () if is_over else (ImportDelivery(row.id),))


def _not_ready(profile: Profile, job: Job, state: Pending) -> NotReady:
    """Say when to ask again, or give up on a delivery that is never ready."""
    poll = profile.source.poll
    if poll is None:
        message = f"profile {profile.id}: [source.poll] is missing; it says how to ask"
        raise ConfigError(message)
    # The lease was set by the database's clock when this attempt began.
    waited = (job.lease_until or job.created_at) - job.created_at
    if is_given_up(poll, round(waited.total_seconds())):
        message = (
            f"RoutIT did not prepare {job.work_key} in {poll.give_up_after_s} s; ask "
            f"RoutIT, then: etl queue:retry {job.id}"
        )
        raise SourceError(message)
    asked_before = job.fence - 1
    wait_s = next_wait_s(poll, asked_before, state.retry_after_s, random.random())
    return NotReady(wait_s, f"RoutIT is preparing {job.work_key}; ask again in {wait_s} s")


def download_delivery(app: App, command: DownloadDelivery, context: Context) -> Outcome:
    """Bring a ready delivery into storage, and register its import with the completion."""
    asked = app.requests.find(ROUTIT, command.account, command.period)
    if asked is None:
        message = (
            f"RoutIT was not asked for {command.period} of account {command.account} yet; "
            f"run: etl routit:request --account={command.account} --period={command.period}"
        )
        raise ConfigError(message)
    if asked.status == "downloaded":
        return _downloaded_before(app, asked)
    client, profile = _routit(app)
    state = client.status(asked.request_id)
    if isinstance(state, Pending):
        return _not_ready(profile, context.job, state)
    file_name = f"CDR_{command.account}_{command.period}.zip"
    with app.storage.workspace(f"download-{command.account}-{command.period}") as folder:
        target = folder / file_name
        _bring(client, asked.request_id, state, target)
        stored = app.storage.keep(
            target, limit_bytes=app.settings.limits.download_mb * 1_000_000
        )
    row = register_stored(app.imports, stored, file_name, profile)
    with app.database.transaction() as tx:
        app.requests.keep_in(
            tx,
            RequestedDelivery(
                ROUTIT,
                command.account,
                command.period,
                asked.request_id,
                "downloaded",
                row.id,
            ),
        )
        return context.finish(
            tx,
            {
                "import_id": row.id,
                "found": f"{file_name} to import",
                "size_bytes": stored.size_bytes,
            },
            (ImportDelivery(row.id),),
        )


def _bring(client: RoutitClient, request_id: str, ready: Ready, target: Path) -> None:
    """Download; a link that expired meanwhile is asked for once more."""
    try:
        client.download(ready, target)
    except LinkExpired:
        again = client.status(request_id)
        if isinstance(again, Pending):
            raise
        client.download(again, target)


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
    difference = difference_from_delivery(app, invoiced)
    with app.database.transaction() as tx:
        app.provider_invoices.write(tx, invoiced)
        if difference is not None:
            record_insight(tx, difference)
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


def _routit(app: App) -> tuple[RoutitClient, Profile]:
    profile = load_profile(ROUTIT, folders=[app.settings.providers])
    feed = app.feed(ROUTIT)
    return routit_client(feed, profile, app.settings.limits), profile
