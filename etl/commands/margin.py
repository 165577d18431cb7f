"""``margin``: what customers pay beside what providers charge."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click
import polars as pl

from etl.app import App
from etl.commands.options import Voice, with_app
from transforms.margin import Margin, by_customer, by_type, losses
from transforms.money import decimal_text

DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.command("margin")
@click.option("--cycle", type=DAY, help="Only cycles that contain this day, YYYY-MM-DD.")
@click.option("--customer", type=int, help="Only this customer's.")
@click.option("--limit", default=20, show_default=True, help="Customers to show.")
@with_app
def margin(
    app: App, voice: Voice, cycle: datetime | None, customer: int | None, limit: int
) -> int:
    """Show provider cost, own price and margin by usage type and by customer.

    Losses come first. Usage without a price is counted and costs nothing here: look at it
    before you trust a margin.
    """
    day = None if cycle is None else cycle.date()
    rows = app.margins.by_usage(day, customer)
    types, customers, lost = by_type(rows), by_customer(rows), losses(rows)
    voice.table(
        ("usage", "records", "unrated", "provider", "own price", "margin", "%"),
        [margin_row(row, row["usage_type"]) for row in types.iter_rows(named=True)],
    )
    voice.say()
    voice.say(f"{customers.height:,} cycles of customers, {lost.height:,} at a loss")
    shown = _shown(customers, lost, limit)
    voice.table(
        ("customer", "cycle", "records", "unrated", "provider", "own price", "margin", "%"),
        [
            margin_row(row, str(row["customer_id"]), row["cycle_start_date"].isoformat())
            for row in shown.iter_rows(named=True)
        ],
    )
    voice.document(
        {
            "by_usage_type": [margin_document(row) for row in types.iter_rows(named=True)],
            "by_customer": [
                margin_document(row) for row in customers.iter_rows(named=True)
            ],
            "losses": lost.height,
        }
    )
    return 0


def _shown(customers: pl.DataFrame, lost: pl.DataFrame, limit: int) -> pl.DataFrame:
    keys = ["customer_id", "cycle_start_date", "currency"]
    dear = customers.join(lost, on=keys, how="anti").sort("own_micros", descending=True)
    return pl.concat([lost, dear.select(lost.columns)]).head(limit)


def margin_row(row: Mapping[str, Any], *names: str) -> tuple[object, ...]:
    """Lay out a row of cost and price for a table, behind its names."""
    found = Margin(row["provider_micros"], row["own_micros"])
    share = found.share_bp
    return (
        *names,
        row["record_count"],
        row["unrated_count"],
        decimal_text(found.provider_micros),
        decimal_text(found.own_micros),
        decimal_text(found.margin_micros),
        "-" if share is None else decimal_text(share * 10_000, 2),
    )


def margin_document(row: Mapping[str, Any]) -> dict[str, object]:
    """Describe a row of cost and price with its margin, as JSON."""
    found = Margin(row["provider_micros"], row["own_micros"])
    return {
        **row,
        "margin_micros": found.margin_micros,
        "margin_bp": found.share_bp,
    }


COMMANDS = {"margin": margin}
