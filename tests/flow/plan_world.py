"""A database with records and rate plans, for tests of totals under plans."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Self

import polars as pl
from click.testing import CliRunner

from etl.cli import cli
from loaders.imports import STORED
from tests.flow.import_world import World
from tests.rater import Event
from transforms.errors import BillingError
from transforms.reference import CUSTOMERS

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)

PLAN = """
schema = "cdr-rate-plan/1"
id = "office"
name = "Office"
[[entry]]
name = "calls"
usage = "voice"
prefixes = ["31"]
connect_fee = "0.05"
price = "0.10"
per = "min"
"""
"""The connect fee and ten cents a minute for the Netherlands, nothing else."""

CHEAP = PLAN.replace('"office"', '"cheap"').replace("0.10", "0.02").replace("0.05", "0.01")

COLUMN = {"voice": "duration_s", "data": "volume_bytes"}


def event(key: int, day: int, quantity: int = 60, **other: Any) -> Event:  # noqa: ANN401
    """A call of Anna's customer 1 at 09:00 UTC in October 2026, at 4 cents."""
    given: dict[str, Any] = {
        "key": key,
        "customer": 1,
        "line": "A",
        "cycle": OCTOBER,
        "zone_name": "Europe/Amsterdam",
        "usage": "voice",
        "start": datetime(2026, 10, day, 9, 0, tzinfo=UTC),
        "quantity": quantity,
        "destination": "+31201234567",
        "cost": 40_000,
    }
    return Event(**{**given, **other})


class PlanWorld(World):
    """A world whose records are put into the database as they are."""

    imports = 0

    def __enter__(self) -> Self:
        return self

    def customers(self, zones: Mapping[int, str]) -> None:
        """Say which customers there are, with their zones; cycles begin on day 1."""
        rows = [
            (each, f"Customer {each}", zone, 1, "EUR", "{}") for each, zone in zones.items()
        ]
        folder = self.folder / "customers"
        folder.mkdir(exist_ok=True)
        frame = pl.DataFrame(rows, CUSTOMERS, orient="row").drop("details")
        frame.write_csv(folder / "customers.csv")
        self.run("reference:load", folder)

    def plans(self, assignments: str, **texts: str) -> dict[str, Any]:
        """Load plans by their id, and who has which: lines of customer_rate_plans.csv."""
        folder = self.folder / "plans"
        (folder / "rate_plans").mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / "rate_plans" / f"{name}.toml").write_text(text, encoding="utf-8")
        header = "customer_id,rate_plan,valid_from,valid_to"
        (folder / "customer_rate_plans.csv").write_text(f"{header}\n{assignments}\n")
        return self.run("reference:load", folder)

    def deliver(self, *events: Event) -> None:
        """Store records as one complete import, and mark their cycles."""
        self.imports += 1
        number = self.imports
        rows = [_row(each, number) for each in events]
        cycles = _cycles(events)
        with self.app.database.transaction() as tx:
            tx.load(
                "import_queue",
                pl.DataFrame(
                    {
                        "id": [number],
                        "type": "routit_cdr",
                        "provider": "routit",
                        "locked": 0,
                        "complete": 1,
                        "status": "done",
                        "file_name": f"{number}.zip",
                        "sha256": f"{number:064}",
                        "size_bytes": 1,
                    }
                ),
            )
            tx.load("call_detail_record", pl.DataFrame(rows, STORED))
            tx.load("import_cycle", _counted(events, cycles, number))
            self.app.totals.mark_dirty(tx, cycles, f"import {number}")

    def run(self, *arguments: object, code: int = 0) -> dict[str, Any]:
        """Run a command and return its document."""
        words = [*(str(each) for each in arguments), "--json"]
        given = {"ETL_DATABASE_URL": self.url, "ETL_STORAGE": str(self.settings.storage)}
        result = CliRunner().invoke(cli, words, env=given, standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        assert result.return_value == code, result.stderr
        document: dict[str, Any] = json.loads(result.stdout)
        return document

    def refused(self, *arguments: object) -> BillingError:
        """Run a command that must fail, and return why."""
        try:
            self.run(*arguments)
        except BillingError as exc:
            return exc
        message = "it was not refused"
        raise AssertionError(message)

    def unbalanced(self) -> list[str]:
        """Totals that do not add up; the records came past the import on purpose."""
        checks = [each.check for each in self.audit()]
        return [check for check in checks if check.startswith("totals")]

    def dispatch(self, code: int = 0) -> dict[str, Any]:
        """Compute what waits; return what came of it."""
        steps = self.run("totals:dispatch", code=code)["steps"]
        result: dict[str, Any] = steps[0]["result"]
        return result


def _row(each: Event, import_id: int) -> dict[str, object]:
    return {
        **dict.fromkeys(STORED),
        "import_id": import_id,
        "member": "a.csv",
        "line_no": each.key + 1,
        "provider": "routit",
        "layout": "mobile",
        "other_kind": "none",
        "currency": "EUR",
        "flags": "",
        "customer_id": each.customer,
        "call_date": each.wall.replace(tzinfo=None),
        "started_at_utc": each.start.astimezone(UTC).replace(tzinfo=None),
        "subscriber": each.line,
        "usage_type": each.usage,
        "direction": each.direction,
        "other": each.destination,
        "zone": each.zone,
        COLUMN.get(each.usage, "events"): each.quantity,
        "cost_micros": each.cost,
        "part_state": "last" if each.continuation else None,
        "fingerprint": each.key + 1,
    }


def _counted(events: Sequence[Event], cycles: pl.DataFrame, number: int) -> pl.DataFrame:
    """What the import brought to each cycle."""
    counts = Counter((each.customer, each.cycle) for each in events)
    costs: Counter[tuple[int, date]] = Counter()
    for each in events:
        costs[each.customer, each.cycle] += each.cost or 0
    keys = list(cycles.select("customer_id", "cycle_start_date").iter_rows())
    return cycles.with_columns(
        import_id=pl.lit(number, pl.Int64),
        record_count=pl.Series([counts[key] for key in keys], dtype=pl.Int64),
        cost_micros=pl.Series([costs[key] for key in keys], dtype=pl.Int64),
    )


def _cycles(events: Sequence[Event]) -> pl.DataFrame:
    starts = sorted({(each.customer, each.cycle) for each in events})
    ends = [
        (customer, start, date(start.year + start.month // 12, start.month % 12 + 1, 1))
        for customer, start in starts
    ]
    return pl.DataFrame(
        ends,
        {
            "customer_id": pl.Int64(),
            "cycle_start_date": pl.Date(),
            "cycle_end_date": pl.Date(),
        },
        orient="row",
    )
