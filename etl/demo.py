"""The demo: a whole night on this machine, from all six providers to invoices.

Effects: writes deliveries, drop folders and reference data to a folder, runs a RoutIT
simulator on loopback, and works with the application's own database. Everything it does is
what a night does; only RoutIT is a simulator and the customers are made up.
"""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path

from etl.app import App
from etl.chains import ROUTIT, RequestDelivery
from etl.charges_file import read_charges_file
from etl.extract.credentials import OAuth2ClientCredentials
from etl.generate import Demand, generate_routit
from etl.handlers import bus_of
from etl.night import run_night
from etl.night_record import Night
from etl.profiles import load_profile
from etl.reference_files import read_reference
from etl.simulator import RoutitSimulator
from loaders.imports import ImportRow
from loaders.invoices import IssuedSum
from transforms.customer_charges import read_charges
from transforms.errors import BillingError, ConfigError, ContractError
from transforms.invoice import Invoice
from transforms.outcome import Outcome
from transforms.profile import Profile
from transforms.rated_totals import RATE_PLAN

AS_OF = datetime(2026, 11, 2, 2, 10, tzinfo=UTC)
"""The demo's night: October's deliveries are there."""
PERIOD = "202610"
EXAMPLE_ACCOUNT = "10001"
"""The account of the example delivery that is shipped."""
GENERATED_ACCOUNT = "20001"
ROUTIT_EXAMPLE = "CDR_10001_202610.zip"
RECORDS = 50_000
CUSTOMERS = 200
SECRET_NAME = "ETL_DEMO_ROUTIT_SECRET"  # the name of a variable, not a secret
MOST_QUESTIONS = 20
PAUSE_S = 0.1
PATIENCE_S = 30.0

FOLDER_EXAMPLES = {
    "kpn_sp16": ("SP16_00016_20261006020000_000123.DAT",),
    "vodafone_nl": ("Vodafone_300000061_202603.csv",),
    "tmobile_calvi": (
        "TMO_CALVI_AC9_202610_0007.tsv",
        "TMO_CALVI_AC9_202610_0007.tsv.ctl",
    ),
    "yielder": ("yielder_4711_2026-10.csv",),
    "kpn_een": ("KPNEEN_123456789_202610.csv",),
}
"""The example deliveries that come through drop folders."""

EXTRA_CUSTOMER = (
    "201,Voorbeeld BV,,,EUR,Voorbeeldplein 1,1234 AB,Utrecht,NL,NL000000201B01,00000201,"
    "facturen@klant201.example,nl,\n"
)
EXTRA_NUMBERS = ("+31200000053", "+31880000032", "+3197000000074")
"""Numbers of the examples that none of the made-up customers has."""

PLAN = "business_mobile"
"""The shipped plan that some customers have; the others pay what the provider charges."""
PLAN_SINCE = {7: "2026-10-12"}
"""Who got the plan in the middle of the month; the others with it had it before."""
EVERY_FOURTH = range(2, CUSTOMERS + 1, 4)

CHARGES = """\
customer_id,kind,name,amount,quantity,valid_from,valid_to
1,recurring,Beheer telefooncentrale,49.00,,2026-01-01,
1,discount,Korting jaarcontract,-10.00,,2026-01-01,
3,recurring,Huur toestellen,12.50,5,2026-01-01,
5,one_off,Monteur op locatie,85.00,,2026-10-08,
16,recurring,Beheer telefooncentrale,49.00,,2026-01-01,
"""

Say = Callable[[str], None]
AccountAndPeriod = tuple[str, str]


@dataclass(frozen=True)
class Evening:
    """What a demo found and did."""

    imports: tuple[ImportRow, ...]
    night: Night
    loaded_now: int
    new_revisions: int
    invoices: tuple[IssuedSum, ...]
    """What there is of invoices now, by currency."""
    example: Invoice | None
    """The dearest invoice of a customer with a rate plan: it shows the most."""
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
    """Run a night: the RoutIT chain by hand, then the nightly run over all six feeds.

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
    before = _revisions(app)
    done_before = {row.id for row in app.imports.recent(100) if row.is_complete}
    with _simulator(deliveries, profile) as simulator:
        _load_reference(app, folder, simulator, say)
        for asked_for in deliveries:
            _follow(app, asked_for, say)
        night = run_night(app, AS_OF, PATIENCE_S, lambda line: say(f"nightly: {line}"))
    rows = tuple(row for row in reversed(app.imports.recent(100)) if row.is_complete)
    return Evening(
        imports=rows,
        night=night,
        loaded_now=sum(row.outcome.loaded for row in rows if row.id not in done_before),
        new_revisions=_revisions(app) - before,
        invoices=app.invoices.sums(),
        example=_example(app),
        seconds=time.monotonic() - started,
    )


def _revisions(app: App) -> int:
    """How many revisions of totals were ever written."""
    return sum(app.totals.largest(most=1_000_000)["revision"].to_list())


def _example(app: App) -> Invoice | None:
    """Pick the invoice to show: of those under a plan the one that comes to the most."""
    under_plan = [
        invoice
        for page in app.invoices.pages()
        for invoice in page
        if invoice.draft.method == RATE_PLAN
    ]
    return max(under_plan, key=lambda each: each.draft.amounts.gross_cents, default=None)


def _deliveries(folder: Path) -> dict[AccountAndPeriod, Path]:
    """Make what the providers send: RoutIT's two ZIPs, and a drop folder for each other."""
    folder.mkdir(parents=True, exist_ok=True)
    generated = generate_routit(
        folder, Demand(RECORDS, CUSTOMERS, account=GENERATED_ACCOUNT, period=PERIOD)
    )
    with as_file(files("etl") / "providers" / "examples") as shipped:
        example = folder / ROUTIT_EXAMPLE
        shutil.copyfile(shipped / ROUTIT_EXAMPLE, example)
        for provider, names in FOLDER_EXAMPLES.items():
            inbox = _inbox(folder, provider)
            inbox.mkdir(parents=True, exist_ok=True)
            for name in names:
                shutil.copyfile(shipped / name, inbox / name)
                # A file that just changed may still be growing; this one has long arrived.
                os.utime(inbox / name, (0, 0))
    return {
        (EXAMPLE_ACCOUNT, PERIOD): example,
        (GENERATED_ACCOUNT, PERIOD): generated.path,
    }


def _inbox(folder: Path, provider: str) -> Path:
    return (folder / "inbox" / provider).resolve()


def _simulator(
    deliveries: Mapping[AccountAndPeriod, Path], profile: Profile
) -> RoutitSimulator:
    if profile.source.poll is None:
        message = f"profile {profile.id}: [source.poll] is missing; it says how to ask"
        raise ConfigError(message)
    os.environ[SECRET_NAME] = "demo-secret"
    return RoutitSimulator(deliveries, messages=profile.source.poll.messages)


def _load_reference(app: App, folder: Path, simulator: RoutitSimulator, say: Say) -> None:
    with (folder / "customers.csv").open("a", encoding="utf-8") as customers:
        customers.write(EXTRA_CUSTOMER)
    with (folder / "subscriptions.csv").open("a", encoding="utf-8") as numbers:
        numbers.writelines(f"{number},number,201,,\n" for number in EXTRA_NUMBERS)
    feeds = [
        _routit_feed(simulator),
        *(_folder_feed(folder, each) for each in FOLDER_EXAMPLES),
    ]
    (folder / "sync_profiles.toml").write_text("\n".join(feeds), encoding="utf-8")
    _write_plan(folder)
    (folder / "charges.csv").write_text(CHARGES, encoding="utf-8")

    reference = read_reference(folder)
    if reference.customers is None or reference.subscriptions is None:
        message = f"{folder}: the demo's own reference files are gone"
        raise ContractError(message)
    _require_own_customers(app, reference.customers["name"].to_list())
    app.reference.replace(reference)
    known = set(reference.customers["customer_id"].to_list())
    charges = read_charges("charges.csv", read_charges_file(folder / "charges.csv"), known)
    app.invoices.replace_charges(charges)
    say(
        f"reference data: {reference.customers.height} customers, "
        f"{reference.subscriptions.height:,} numbers, {len(feeds)} feeds, rate plan {PLAN} "
        f"for {len(EVERY_FOURTH) + len(PLAN_SINCE)} customers"
    )


def _write_plan(folder: Path) -> None:
    """Give every fourth customer the shipped plan, and another one in mid-month."""
    plans = folder / "rate_plans"
    (plans / "decks").mkdir(parents=True, exist_ok=True)
    with as_file(files("etl") / "rate_plans") as shipped:
        for name in (f"{PLAN}.toml", "decks/destinations.csv"):
            shutil.copyfile(shipped / name, plans / name)
    rows = [f"{customer_id},{PLAN},2026-01-01," for customer_id in EVERY_FOURTH]
    rows += [f"{customer_id},{PLAN},{day}," for customer_id, day in PLAN_SINCE.items()]
    text = "\n".join(["customer_id,rate_plan,valid_from,valid_to", *rows, ""])
    (folder / "customer_rate_plans.csv").write_text(text, encoding="utf-8")


def _routit_feed(simulator: RoutitSimulator) -> str:
    credentials = simulator.credentials
    if not isinstance(credentials, OAuth2ClientCredentials):
        message = "the demo's simulator asks for OAuth2"
        raise ContractError(message)
    return (
        "[[sync_profile]]\n"
        f'provider = "{ROUTIT}"\n'
        "[sync_profile.settings]\n"
        'transport = "https"\n'
        f'url = "{simulator.base_url}"\n'
        f'account = "{GENERATED_ACCOUNT}"\n'
        'auth = "oauth2"\n'
        f'token_url = "{credentials.token_url}"\n'
        f'client_id = "{credentials.client_id}"\n'
        f'secret = "env:{SECRET_NAME}"\n'
    )


def _folder_feed(folder: Path, provider: str) -> str:
    return (
        "[[sync_profile]]\n"
        f'provider = "{provider}"\n'
        "[sync_profile.settings]\n"
        'transport = "folder"\n'
        f'folder = "{_inbox(folder, provider)}"\n'
    )


def _require_own_customers(app: App, names: list[str]) -> None:
    """Stop before real customers are replaced by made-up ones."""
    others = set(app.reference.customers()["name"].to_list()) - set(names)
    if others:
        message = (
            f"the database holds {len(others)} customers that are not the demo's; give the "
            "demo a database of its own: etl demo --database-url sqlite:///var/demo.db"
        )
        raise ConfigError(message)


def _follow(app: App, asked_for: AccountAndPeriod, say: Say) -> None:
    """Ask until the delivery is ready; its chain follows by itself."""
    account, period = asked_for
    bus = bus_of(app)
    for _ in range(MOST_QUESTIONS):
        report = bus.run(RequestDelivery(account, period), app.stop)
        if report.failed_step is not None:
            message = f"{report.failed_step.command}: {report.failed_step.message}"
            raise BillingError(message)
        if report.steps[0].status == "done":
            for step in report.steps:
                say(f"account {account}, {period}: {step.command} {step.status}")
            return
        say(f"account {account}, {period}: not ready yet; retry later")
        time.sleep(PAUSE_S)
    message = (
        f"the simulator did not prepare account {account} in {MOST_QUESTIONS} questions"
    )
    raise BillingError(message)
