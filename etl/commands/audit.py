"""``audit``: prove that every record and every micro is accounted for."""

from dataclasses import asdict

import click

from etl.app import App
from etl.commands.options import Voice, with_app
from loaders.audit import CHECKS, differences
from transforms.errors import MoneyError


@click.command("audit")
@with_app
def audit(app: App, voice: Voice) -> int:
    """Compare deliveries, ledger, records, totals, lines and backups with each other.

    Exit code 4 when any two figures that must be equal are not.
    """
    found = differences(app.database)
    for one in found:
        voice.say(
            f"{one.check}: {one.where}: expected {one.expected:,}, found {one.found:,}"
        )
    if not found:
        voice.say(f"{len(CHECKS)} checks: every record and every micro is accounted for.")
    voice.document({"ok": not found, "differences": [asdict(one) for one in found]})
    return MoneyError.exit_code if found else 0


COMMANDS = {"audit": audit}
