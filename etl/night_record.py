"""A night as it is told: its steps, what they did, the exit code, the report for people.

Effects: none, but for the two files of a night in the storage folder, which are replaced
whole: ``nights/<date>/run.json`` for machines and ``report.txt`` for people.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from etl.failpoints import failpoint
from etl.night_invoices import Documents, KeptBack
from loaders.audit import Difference
from loaders.nights import NightImport, NightInvoice, NightTotals, Unrated
from loaders.sync import SyncTask
from transforms.errors import BillingError, MoneyError
from transforms.insights import SEVERITIES
from transforms.invoice import MICROS_A_CENT
from transforms.money import decimal_text

FINISHED_WITH_FAULTS = 1

LINES_SHOWN = 20
"""Lines of one section of the report; all of them are in ``run.json``."""


@dataclass
class Step:
    """One step of the night and how it ended."""

    name: str
    status: str = "running"
    message: str = ""
    seconds: float = 0.0
    exit_code: int = 0


@dataclass(frozen=True)
class NightInsight:
    """A finding of this night, in words; lines are shown by their last digits."""

    id: int
    severity: str
    kind: str
    about: str
    says: str


@dataclass
class Night:
    """A night as far as it has come; ``run.json`` is this, written after every step."""

    name: str
    started_s: int
    """When it began, by the database's clock; kept when a killed night goes on."""
    attempts: int = 1
    status: str = "running"
    steps: list[Step] = field(default_factory=list)
    task_ids: list[int] = field(default_factory=list)
    """The syncs it dispatched; kept when a killed night goes on."""
    tasks: list[SyncTask] = field(default_factory=list)
    failed_jobs: list[str] = field(default_factory=list)
    failed_before: list[str] = field(default_factory=list)
    """Jobs that failed in an earlier night and wait for a person still."""
    waiting_jobs: list[str] = field(default_factory=list)
    running_jobs: list[str] = field(default_factory=list)
    """Jobs that another worker still had in hand when the night ended."""
    imports: tuple[NightImport, ...] = ()
    totals: NightTotals | None = None
    left_out: list[str] = field(default_factory=list)
    """Cycles whose amounts do not fit; they wait, and every night tries them again."""
    unrated: tuple[Unrated, ...] = ()
    insights: list[NightInsight] = field(default_factory=list)
    """What was found, or changed, in this night, the gravest first."""
    open_insights: int = 0
    """How many findings stand that nobody acknowledged."""
    invoices: tuple[NightInvoice, ...] = ()
    kept_back: tuple[KeptBack, ...] = ()
    to_look_at: tuple[str, ...] = ()
    """What was found beside invoices that were issued all the same."""
    documents: Documents | None = None
    audit: list[Difference] = field(default_factory=list)
    exit_code: int = 0


def exit_code_of(night: Night) -> int:
    """Decide the exit code: 4 before 3 before 1 before 0.

    4: money does not reconcile, or does not fit. 3: a step of the night itself failed. 1: a
    feed, a job or a delivery failed, records were rejected or in conflict, or a customer
    was kept back for more than records without a price or an owner. 0: also nothing to do.
    """
    if night.audit or night.left_out:
        return MoneyError.exit_code
    failed = {step.exit_code for step in night.steps if step.status == "failed"}
    if MoneyError.exit_code in failed:
        return MoneyError.exit_code
    if failed:
        return BillingError.exit_code
    is_faulty = (
        night.failed_jobs
        or any(task.status == "failed" for task in night.tasks)
        or any(each.status in ("refused", "failed") for each in night.imports)
        or any(each.outcome.rejected or each.outcome.conflicts for each in night.imports)
        or any(each.is_fault for each in night.kept_back)
    )
    return FINISHED_WITH_FAULTS if is_faulty else 0


# --- its files ----------------------------------------------------------------------------


def write_run(folder: Path, night: Night) -> None:
    """Write ``run.json``, whole or not at all."""
    document = json.dumps(asdict(night), indent=2, default=str)
    _replace(folder / "run.json", document + "\n")


def write_report(folder: Path, night: Night) -> None:
    """Write ``report.txt``, whole or not at all."""
    _replace(folder / "report.txt", report_text(night))


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    failpoint("night_before_rename")
    part.replace(path)


# --- the report ---------------------------------------------------------------------------


def report_text(night: Night) -> str:
    """Write the report of a night for people."""
    lines = [
        f"Night of {night.name}: {'all is well' if not night.exit_code else 'look below'}"
    ]
    lines += [
        f"  {step.name:9} {step.status:8} {step.seconds:8.1f} s  {step.message}".rstrip()
        for step in night.steps
    ]
    lines += ["", "Feeds"]
    lines += [
        f"  {task.provider or '-':16} {task.status:8} {task.message or ''}".rstrip()
        for task in night.tasks
    ]
    lines += ["", "Deliveries"]
    lines += [_import_line(each) for each in night.imports] or ["  none"]
    if night.totals is not None:
        lines += ["", _totals_line(night.totals)]
    lines += _section(
        "Left out of totals: amounts that do not fit; tried again every night",
        night.left_out,
    )
    lines += _section(
        "Without a price; complete the plan and load it, totals follow by themselves",
        [_unrated_line(each) for each in night.unrated],
    )
    lines += _insight_lines(night)
    lines += _invoice_lines(night)
    lines += _section("Failed, and how to go on", night.failed_jobs)
    lines += _section("Failed before, and still waiting for a person", night.failed_before)
    lines += _section("Waiting for a provider", night.waiting_jobs)
    lines += _section("Still in another worker's hands", night.running_jobs)
    lines += _section(
        "Audit",
        [f"{one.check}: {one.where}: {one.expected} / {one.found}" for one in night.audit]
        or ["every record and every micro is accounted for"],
    )
    return "\n".join(lines) + "\n"


def _totals_line(totals: NightTotals) -> str:
    return (
        f"Totals: {totals.totals:,} written for {totals.customers:,} customers, "
        f"{totals.cdr_count:,} records, {totals.unrated_count:,} of them unrated, "
        f"worth {decimal_text(totals.total_cost_micros)}"
    )


def _unrated_line(each: Unrated) -> str:
    who = "1 customer" if each.customers == 1 else f"{each.customers:,} customers"
    return f"{each.records:,} {each.usage_type} records of {who}: {each.reason}"


def _insight_lines(night: Night) -> list[str]:
    """Say what was found; what is only good to know is counted."""
    found = Counter(each.severity for each in night.insights)
    told = ", ".join(
        f"{found[each]} {each}" for each in reversed(SEVERITIES) if found[each]
    )
    stand = f"{night.open_insights:,} stand in all, see: etl insight"
    title = f"Insights: {told or 'nothing new'}; {stand}"
    lines = [
        f"{each.severity} {each.kind}: {each.about}: {each.says}"
        for each in night.insights
        if each.severity != "info"
    ]
    return _section(title, lines) or ["", title]


def _invoice_lines(night: Night) -> list[str]:
    """Say what was invoiced, what was kept back and what to look at."""
    lines = ["", f"Invoices: {_issued(night.invoices)}"]
    if night.documents is not None and night.documents.invoices:
        lines[-1] += f"; documents of {night.documents.invoices:,} written"
    lines += _section("Kept back", [kept_line(each) for each in night.kept_back])
    lines += _section("Look at these invoices", night.to_look_at)
    if night.documents is not None:
        lines += _section("Documents that could not be made", night.documents.missing)
    return lines


def _issued(invoices: Sequence[NightInvoice]) -> str:
    if not invoices:
        return "none issued"
    sums: dict[str, int] = {}
    for each in invoices:
        sums[each.currency] = sums.get(each.currency, 0) + each.gross_cents
    told = ", ".join(
        f"{currency} {decimal_text(cents * MICROS_A_CENT, 2)}"
        for currency, cents in sorted(sums.items())
    )
    first, last = invoices[0].number, invoices[-1].number
    numbers = first if first == last else f"{first} to {last}"
    return f"{len(invoices):,} issued ({numbers}), {told} with VAT"


def kept_line(each: KeptBack) -> str:
    """Say who was kept back, and why."""
    why = "; ".join(each.reasons) or {
        "changed": "its totals changed meanwhile; the next night invoices it",
        "credited": "it was credited; invoice it anew with: etl invoice:new "
        f"--customer {each.customer_id} --cycle {each.cycle_start_date}",
    }.get(each.status, each.status)
    return f"customer {each.customer_id}, cycle {each.cycle_start_date}: {why}"


def _import_line(each: NightImport) -> str:
    outcome = each.outcome
    told = (
        f"  {each.provider:16} {each.file_name:40} {each.status:8} "
        f"{outcome.records:>9,} records {outcome.loaded:>9,} loaded"
    )
    aside = {
        "duplicates": outcome.duplicates,
        "conflicts": outcome.conflicts,
        "rejected": outcome.rejected,
        "suspended": outcome.suspended,
    }
    told += "".join(f", {count:,} {name}" for name, count in aside.items() if count)
    is_fault = each.status != "done" and each.message
    return told + (f"\n    {each.message}" if is_fault else "")


def _section(title: str, lines: Sequence[str]) -> list[str]:
    """A title with its lines, cut where nobody would read on; nothing without lines."""
    if not lines:
        return []
    shown = [f"  {line}" for line in lines[:LINES_SHOWN]]
    if len(lines) > LINES_SHOWN:
        shown.append(f"  and {len(lines) - LINES_SHOWN:,} more; all of them: run.json")
    return ["", title, *shown]
