"""Requesting: a delivery that RoutIT prepares is asked for, waited for and brought.

Effects: HTTP, the storage folder and the database. A worker never waits here: what is not
ready comes back to the queue.
"""

import random
from pathlib import Path

from etl.app import App
from etl.bus import Context, Done, NotReady, Outcome
from etl.chains import ROUTIT, DownloadDelivery, ImportDelivery, RequestDelivery
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
from etl.registering import register_stored
from loaders.jobs import Job
from loaders.requests import RequestedDelivery
from transforms.errors import ConfigError, SourceError
from transforms.profile import Profile

FOR_A_PERSON = ("held", "refused", "failed", "reverted")
"""Imports that nobody but a person lets go on."""


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
    return NotReady(wait_s, f"RoutIT is preparing {job.work_key}; retry after {wait_s} s")


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


def _routit(app: App) -> tuple[RoutitClient, Profile]:
    profile = load_profile(ROUTIT, folders=[app.settings.providers])
    feed = app.feed(ROUTIT)
    return routit_client(feed, profile, app.settings.limits), profile
