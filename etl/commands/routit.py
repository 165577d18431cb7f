"""``routit:*``: each step of the RoutIT path by hand, and its chain."""

from datetime import UTC, date, datetime, timedelta

import click

from etl.app import App
from etl.bus import JobReport
from etl.chains import (
    ROUTIT,
    DownloadDelivery,
    ImportDelivery,
    InvoiceImport,
    RequestDelivery,
)
from etl.commands.options import Voice, gravest, with_app
from etl.commands.reports import report_document, tell_report
from etl.handlers import bus_of
from transforms.errors import ConfigError


def _last_month(today: date) -> str:
    return (today.replace(day=1) - timedelta(days=1)).strftime("%Y%m")


def _delivery(app: App, account: str | None, period: str | None) -> tuple[str, str]:
    chosen = account or app.feed(ROUTIT).settings.account
    if not chosen:
        message = "which account? give --account, or settings.account in sync_profiles.toml"
        raise ConfigError(message)
    return chosen, period or _last_month(datetime.now(UTC).date())


@click.command("routit:request")
@click.option("--account", help="RoutIT account; default: the sync profile's.")
@click.option("--period", help="YYYYMM; default: last month.")
@click.option("--again", is_flag=True, help="Ask anew for what was downloaded before.")
@click.option("--dry-run", is_flag=True, help="Show what would be asked, ask nothing.")
@with_app
def request(
    app: App,
    voice: Voice,
    account: str | None,
    period: str | None,
    *,
    again: bool,
    dry_run: bool,
) -> int:
    """Ask for a delivery; when it is ready, download, import and total it.

    Not ready yet is no fault: exit code 0, and the time to ask again is said. The same
    command, or ``etl worker``, goes on from there. What was downloaded before is not
    asked for again; the chain goes on from its import.
    """
    chosen_account, chosen_period = _delivery(app, account, period)
    if dry_run:
        return _foresee(app, voice, chosen_account, chosen_period)
    command = RequestDelivery(chosen_account, chosen_period, again)
    return _report(voice, bus_of(app).run(command, app.stop))


@click.command("routit:download")
@click.option("--account", help="RoutIT account; default: the sync profile's.")
@click.option("--period", help="YYYYMM; default: last month.")
@with_app
def download(app: App, voice: Voice, account: str | None, period: str | None) -> int:
    """Download a delivery that was asked for, then import and total it."""
    chosen_account, chosen_period = _delivery(app, account, period)
    return _report(
        voice, bus_of(app).run(DownloadDelivery(chosen_account, chosen_period), app.stop)
    )


@click.command("routit:import")
@click.option("--id", "import_id", type=int, help="One import; default: all that wait.")
@click.option("--dry-run", is_flag=True, help="Show which would be imported.")
@with_app
def import_waiting(app: App, voice: Voice, import_id: int | None, *, dry_run: bool) -> int:
    """Import downloaded deliveries, then invoice and total them.

    Takes up imports that wait, failed, or lost their worker, also after
    ``UPDATE import_queue SET locked = 0``.
    """
    app.corrections_store.free_lost_owners()
    ids = app.imports.runnable(ROUTIT) if import_id is None else [import_id]
    if not ids:
        voice.say("No RoutIT import waits.")
        voice.document({"runs": []})
        return 0
    if dry_run:
        voice.say(f"would import: {', '.join(map(str, ids))}. Nothing was written.")
        voice.document({"would_import": ids})
        return 0
    reports = [bus_of(app).run(ImportDelivery(each), app.stop) for each in ids]
    for one in reports:
        tell_report(voice, one)
    voice.document({"runs": [report_document(one) for one in reports]})
    return gravest(one.exit_code for one in reports)


@click.command("routit:invoice")
@click.option("--id", "import_id", type=int, required=True, help="The import to invoice.")
@with_app
def invoice(app: App, voice: Voice, import_id: int) -> int:
    """Work out what RoutIT charges for an import, by customer, then its totals."""
    return _report(voice, bus_of(app).run(InvoiceImport(import_id), app.stop))


def _foresee(app: App, voice: Voice, account: str, period: str) -> int:
    """Tell how far an account's period is; RoutIT is not asked."""
    asked = app.requests.find(ROUTIT, account, period)
    status = "not asked yet" if asked is None else asked.status
    import_id = None if asked is None else asked.import_id
    told = status if import_id is None else f"{status} as import {import_id}"
    voice.say(f"account {account}, period {period}: {told}. Nothing was written.")
    voice.document(
        {"account": account, "period": period, "status": status, "import_id": import_id}
    )
    return 0


def _report(voice: Voice, report: JobReport) -> int:
    tell_report(voice, report)
    voice.document(report_document(report))
    return report.exit_code


COMMANDS = {
    "routit:request": request,
    "routit:download": download,
    "routit:import": import_waiting,
    "routit:invoice": invoice,
}
