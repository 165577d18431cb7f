"""Margins: provider cost and own price of usage, asked of the database side by side.

Effects: reads the database. Where itemised records were removed after their term, the
aggregates that were kept of them are counted instead.
"""

from datetime import date

import polars as pl

from loaders.database import Database
from transforms.margin import BY_USAGE


class MarginStore:
    """The door for margins."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    def by_usage(
        self, day: date | None = None, customer_id: int | None = None
    ) -> pl.DataFrame:
        """Read cost and price (BY_USAGE) by customer, cycle and usage type.

        Args:
            day: Only of cycles that contain this day.
            customer_id: Only this customer's.
        """
        with self._database.snapshot() as tx:
            return tx.frame("margin/by_usage", BY_USAGE, day=day, customer_id=customer_id)
