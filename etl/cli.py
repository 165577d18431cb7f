"""The command line: names, exit codes, and the only place that catches ``BillingError``.

Effects: reads arguments, writes to the terminal, ends the process. Commands live in
``etl/commands/`` and are imported when they are called, so that ``etl --help`` is quick.
"""

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module

import click

from etl.stopping import STOP
from transforms.errors import BillingError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Try it all: a simulated provider, an import, totals, a summary."),
    "init": ("setup", "Write a settings file and empty reference files to start from."),
    "db:upgrade": ("database", "Create or upgrade the schema."),
    "doctor": ("database", "Check the database, its settings and the storage folder."),
    "reference:load": ("reference", "Load customers, subscriptions and sync profiles."),
    "sync:manager": ("sync", "Store a task and a job for every feed that is due."),
    "provider:check": ("provider", "Show what a file would become; needs no database."),
    "provider:list": ("provider", "List the provider profiles there are."),
    "provider:invoice-total": ("provider", "Compare a provider's own invoice with ours."),
    "plan:check": ("plans", "Check a rate plan as a whole; needs no database."),
    "plan:price": ("plans", "Price events under a rate plan; needs no database."),
    "import": ("imports", "Import files by hand: ZIP, CSV or fixed-width."),
    "rejects:list": ("imports", "List records that were set aside, and why."),
    "rejects:replay": ("imports", "Load suspended records whose owner is known now."),
    "routit:request": ("routit", "Ask RoutIT for a delivery, and follow the chain."),
    "routit:download": ("routit", "Download a delivery that is ready."),
    "routit:import": ("routit", "Import downloaded RoutIT deliveries."),
    "routit:invoice": ("routit", "What RoutIT charges for an import, by customer."),
    "totals:new": ("totals", "Reprocess one customer's cycle, with its chain."),
    "totals:dispatch": ("totals", "Compute every cycle that has changed."),
    "totals:diff": ("totals", "Compare two revisions of a cycle, line by line."),
    "totals:restore": ("totals", "Put a revision of a cycle back."),
    "totals:simulate": ("totals", "Show what history would cost under another plan."),
    "invoice:new": ("invoices", "Issue invoices: of one customer's cycle, or all due."),
    "invoice:list": ("invoices", "List issued invoices."),
    "invoice:show": ("invoices", "Show one invoice with its lines and VAT."),
    "invoice:documents": ("invoices", "Write invoices as HTML, PDF, CSV, UBL and JSON."),
    "invoice:charges": ("invoices", "Load what is charged beside usage, from a CSV file."),
    "invoice:credit": ("invoices", "Take back what a cycle was invoiced."),
    "margin": ("margin", "Show provider cost beside own price, and what is left."),
    "insight": ("insights", "List what a person should look at, with its figures."),
    "insight:acknowledge": ("insights", "Take an insight off the list; who is kept."),
    "insight:find": ("insights", "Look for insights now, as a night does."),
    "retention:apply": ("privacy", "Remove personal data past its term; totals stay."),
    "customer:export": ("privacy", "Write everything that is kept about a customer."),
    "queue:list": ("queue", "List jobs of the queue."),
    "queue:unlock": ("queue", "Free a job whose owner is gone."),
    "queue:retry": ("queue", "Try a failed job again and follow its chain."),
    "worker": ("queue", "Work the queue."),
    "queue:stop-workers": ("queue", "Let every worker finish its job and end."),
    "chains": ("queue", "Show what follows what."),
    "import:list": ("corrections", "List deliveries, how each ended, and who decided."),
    "import:accept": ("corrections", "Import a file that was refused for its rejects."),
    "import:release": ("corrections", "Let a held import go on."),
    "import:revert": ("corrections", "Back an import out, as if it had never come."),
    "cdr:rematch": ("corrections", "Give stored records to their owners of now."),
    "monitor": ("monitor", "Show syncs, imports, volume, totals and the queue."),
    "health": ("monitor", "Look at each critical path; say what is broken."),
    "nightly": ("nightly", "Sync, import, total, invoice, audit, report: in one go."),
    "report": ("report", "Show a night's report again, or how a period stands."),
    "audit": ("audit", "Prove that every record and every micro is accounted for."),
}
"""Every command: its module in ``etl/commands/`` and what it does, in one line."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table above."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return the command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"etl.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.COMMANDS[cmd_name]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest name when there is no such command."""
        name = args[0]
        near = get_close_matches(name, COMMANDS, n=1)
        if name not in COMMANDS and near:
            ctx.fail(f"No such command {name!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in COMMANDS])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cdr-etl", prog_name="etl")
def cli() -> None:
    """Nightly engine for call detail records: import, totals, invoices.

    Exit codes: 0 ok, 1 finished with rejected or failed parts, 2 usage or settings,
    3 failed and safe to run again, 4 money does not reconcile, 75 another run holds the
    lease, 143 stopped after a checkpoint.
    """


FEW_ARENAS = "narenas:2,dirty_decay_ms:500"
"""Polars' allocator keeps an arena for every four threads of every core; two are enough
for an import, and they keep its memory under what a night is allowed."""


def main() -> None:
    """Run the command line and end the process with the exit code of the outcome."""
    os.environ.setdefault("_RJEM_MALLOC_CONF", FEW_ARENAS)
    STOP.install()
    with _one_line_errors():
        sys.exit(cli.main(standalone_mode=False) or 0)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except click.exceptions.Abort:
        click.echo("etl: interrupted; run the same command again to go on", err=True)
        sys.exit(130)
    except BillingError as exc:
        click.echo(f"etl: {exc}", err=True)
        if "--json" in sys.argv:
            fault = {"class": type(exc).__name__, "message": str(exc)}
            click.echo(json.dumps({"error": fault, "exit_code": exc.exit_code}))
        sys.exit(exc.exit_code)
    except Exception:  # noqa: BLE001 - a fault of ours must not look like rejected records
        traceback.print_exc()
        click.echo("etl: this is a fault of ours; please report the lines above", err=True)
        sys.exit(BillingError.exit_code)
