"""The demo: a whole night on this machine, from a simulated provider to backed-up totals.

Effects: writes generated deliveries and reference data to a folder, runs a RoutIT simulator
on loopback, and works with the application's own database. Everything it does is what a
night does; only the provider is a simulator and the customers are made up.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib.resources import as_file, files
from pathlib import Path

from etl.app import App
from etl.bus import JobReport
from etl.chains import RequestDelivery
from etl.extract.credentials import OAuth2ClientCredentials
from etl.generate import Demand, generate_routit
from etl.handlers import ROUTIT, bus_of
from etl.profiles import load_profile
from etl.reference_files import read_reference
from etl.simulator import RoutitSimulator
from loaders.imports import ImportRow
from transforms.errors import BillingError, ConfigError, ContractError
from transforms.outcome import Outcome
from transforms.profile import Profile

PERIOD = "202610"
EXAMPLE_ACCOUNT = "10001"
"""The account of the example delivery that is shipped."""
GENERATED_ACCOUNT = "20001"
EXAMPLE_FILE = "CDR_10001_202610.zip"
RECORDS = 50_000
CUSTOMERS = 200
SECRET_NAME = "ETL_DEMO_ROUTIT_SECRET"  # the name of a variable, not a secret
MOST_STEPS = 20
PAUSE_S = 0.1

Say = Callable[[str], None]
AccountAndPeriod = tuple[str, str]


@dataclass(frozen=True)
class Evening:
    """What a demo found and did."""

    imports: tuple[ImportRow, ...]
    loaded_now: int
    new_revisions: int
    seconds: float

    @property
    def outcome(self) -> Outcome:
        """All imports taken together."""
        counts = {
            each.name: sum(getattr(row.outcome, each.name) for row in self.imports)
            for each in fields(Outcome)
        }
        return Outcome(**counts)


def run_demo(app: App, folder: Path, say: Say) -> Evening:
    """Run a night: request, download, import, provider invoice, totals, backup.

    Args:
        app: The application, its database included.
        folder: Where the made-up deliveries and customers are kept.
        say: Called with one line for each thing that happens.

    Raises:
        ConfigError: When the database holds customers that are not the demo's.
        BillingError: When a step fails that should not.
    """
    started = time.monotonic()
    profile = load_profile(ROUTIT)
    deliveries = _deliveries(folder)
    done_before = {row.id for row in app.imports.recent(100) if row.is_complete}
    with _simulator(deliveries, profile) as simulator:
        _load_reference(app, folder, simulator, say)
        reports = [_follow(app, each, say) for each in deliveries]
    import_ids = [_import_id(app, each) for each in deliveries]
    rows = tuple(row for each in import_ids if (row := app.imports.find(each)) is not None)
    return Evening(
        imports=rows,
        loaded_now=sum(row.outcome.loaded for row in rows if row.id not in done_before),
        new_revisions=sum(
            int(str(step.result.get("new_revisions", 0)))
            for report in reports
            for step in report.steps
        ),
        seconds=time.monotonic() - started,
    )


def _deliveries(folder: Path) -> dict[AccountAndPeriod, Path]:
    """Make the deliveries: the shipped example, and a larger one that is made up."""
    folder.mkdir(parents=True, exist_ok=True)
    generated = generate_routit(
        folder, Demand(RECORDS, CUSTOMERS, account=GENERATED_ACCOUNT, period=PERIOD)
    )
    example = folder / EXAMPLE_FILE
    with as_file(files("etl") / "providers" / "examples" / EXAMPLE_FILE) as shipped:
        shutil.copyfile(shipped, example)
    return {
        (EXAMPLE_ACCOUNT, PERIOD): example,
        (GENERATED_ACCOUNT, PERIOD): generated.path,
    }


def _simulator(
    deliveries: dict[AccountAndPeriod, Path], profile: Profile
) -> RoutitSimulator:
    if profile.source.poll is None:
        message = f"profile {profile.id}: [source.poll] is missing; it says how to ask"
        raise ConfigError(message)
    os.environ[SECRET_NAME] = "demo-secret"
    return RoutitSimulator(deliveries, messages=profile.source.poll.messages)


def _load_reference(app: App, folder: Path, simulator: RoutitSimulator, say: Say) -> None:
    credentials = simulator.credentials
    if not isinstance(credentials, OAuth2ClientCredentials):
        message = "the demo's simulator asks for OAuth2"
        raise ContractError(message)
    (folder / "sync_profiles.toml").write_text(
        "[[sync_profile]]\n"
        f'provider = "{ROUTIT}"\n'
        "[sync_profile.settings]\n"
        'transport = "https"\n'
        f'url = "{simulator.base_url}"\n'
        f'account = "{EXAMPLE_ACCOUNT}"\n'
        'auth = "oauth2"\n'
        f'token_url = "{credentials.token_url}"\n'
        f'client_id = "{credentials.client_id}"\n'
        f'secret = "env:{SECRET_NAME}"\n',
        encoding="utf-8",
    )
    reference = read_reference(folder)
    if reference.customers is None or reference.subscriptions is None:
        message = f"{folder}: the demo's own reference files are gone"
        raise ContractError(message)
    _require_own_customers(app, reference.customers["name"].to_list())
    app.reference.replace(reference)
    numbers = reference.subscriptions.height
    say(f"reference data: {CUSTOMERS} customers, {numbers:,} numbers")


def _require_own_customers(app: App, names: list[str]) -> None:
    """Stop before real customers are replaced by made-up ones."""
    others = set(app.reference.customers()["name"].to_list()) - set(names)
    if others:
        message = (
            f"the database holds {len(others)} customers that are not the demo's; give the "
            "demo a database of its own: etl demo --database-url sqlite:///var/demo.db"
        )
        raise ConfigError(message)


def _follow(app: App, asked_for: AccountAndPeriod, say: Say) -> JobReport:
    """Ask until the delivery is ready; its chain follows by itself."""
    account, period = asked_for
    bus = bus_of(app)
    for _ in range(MOST_STEPS):
        report = bus.run(RequestDelivery(account, period), app.stop)
        first = report.steps[0]
        if report.failed_step is not None:
            message = f"{report.failed_step.command}: {report.failed_step.message}"
            raise BillingError(message)
        if first.status == "done":
            steps = " -> ".join(step.command for step in report.steps)
            say(f"account {account}, {period}: {steps}")
            return report
        say(f"account {account}, {period}: not ready yet, asking again")
        time.sleep(PAUSE_S)
    message = f"the simulator did not prepare account {account} in {MOST_STEPS} questions"
    raise BillingError(message)


def _import_id(app: App, asked_for: AccountAndPeriod) -> int:
    asked = app.requests.find(ROUTIT, *asked_for)
    if asked is None or asked.import_id is None:
        message = f"account {asked_for[0]}: nothing was downloaded"
        raise BillingError(message)
    return asked.import_id
