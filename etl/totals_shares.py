"""Totals in shares: cycles by customer bucket, each share computed on an executor.

Effects: tasks on an executor; in a task, the database and a work folder of its own. A
task reads and computes and writes nothing: this run stores all figures in one transaction
under its lease, as it does when it computed them itself. So the result is the same to the
byte, however the shares were cut and wherever they were computed.

All cycles of a customer are in one share: what one cycle used of a one-off allowance is
gone in the next.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final
from zlib import crc32

import polars as pl

from etl.executors import SERIAL, Beside, fault_of
from etl.failpoints import failpoint
from etl.settings import Settings, load_settings
from etl.totals_work import Compute, Computed
from loaders.leases import Lease, Leases
from loaders.open import driver_of, prepare_driver
from transforms.errors import ConfigError, FenceLost
from transforms.totals import PAIRS

if TYPE_CHECKING:
    from concurrent.futures import Future

SHARES_EACH: Final = 2
"""Shares for each task that can run at a time: the last ones keep no one waiting long."""

Cycle = tuple[int, date, date, str]
"""A row of ``PAIRS``."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a task finds the database: plain values that travel to its process.

    Attributes:
        driver: The database's URL without account and host.
        lease_seconds: The lease of the run that asks.
        database_url: None on another machine, which has its own ``ETL_DATABASE_URL``:
            no secret passes through a cluster.
        storage: Where a task may put what does not fit in memory; None for its machine's.
    """

    driver: str
    lease_seconds: int
    database_url: str | None = None
    storage: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Place":
        """Say where tasks of an executor find the database of these settings."""
        driver = driver_of(settings.database_url)
        if settings.executor.startswith("dask:"):
            return cls(driver, settings.lease_seconds)
        url, storage = settings.database_url, str(settings.storage)
        return cls(driver, settings.lease_seconds, url, storage)

    def settings(self) -> Settings:
        """The settings of a task, in its own process.

        Raises:
            ConfigError: When its machine is not told of the database.
        """
        found = load_settings(
            database_url=self.database_url,
            storage=self.storage,
            lease_seconds=self.lease_seconds,
            executor=SERIAL,
        )
        if driver_of(found.database_url) != self.driver:
            message = (
                f"a worker of the cluster has no {self.driver} database; set "
                "ETL_DATABASE_URL where it was started"
            )
            raise ConfigError(message)
        return found


def compute_share(
    place: Place, lease: tuple[str, str, int], cycles: list[Cycle]
) -> Computed:
    """Compute some cycles; the task that runs on an executor.

    Raises:
        FenceLost: When the run that asked has lost its lease.
    """
    from etl.app import App  # not at the top: the application knows this module

    prepare_driver(place.driver)
    failpoint("totals_before_share")
    with App(place.settings()) as app:
        pairs = pl.DataFrame(cycles, PAIRS, orient="row")
        return app.totals_work.share(pairs, Lease(*lease))


@dataclass(frozen=True)
class TotalsShares:
    """Computes cycles in shares."""

    executor: Beside
    place: Place
    leases: Leases

    def compute(self, pairs: pl.DataFrame, lease: Lease, here: Compute) -> list[Computed]:
        """Compute cycles (PAIRS) on the executor; ``here`` does what is lost there.

        Raises:
            FenceLost: When the lease was taken over.
            ConfigError: When a worker looks at another database.
        """
        bucket_count = SHARES_EACH * max(self.executor.beside, 1)
        started = [
            (share, self._start(share, lease)) for share in shares_of(pairs, bucket_count)
        ]
        try:
            return [self._computed(*each, lease, here) for each in started]
        finally:
            for _, future in started:
                future.cancel()

    def _start(self, share: pl.DataFrame, lease: Lease) -> "Future[Computed]":
        told = (lease.name, lease.owner, lease.fence)
        return self.executor.submit(compute_share, self.place, told, share.rows())

    def _computed(
        self, share: pl.DataFrame, future: "Future[Computed]", lease: Lease, here: Compute
    ) -> Computed:
        try:
            return self.executor.outcome(future)
        except ConfigError:
            raise
        except FenceLost as exc:
            self.leases.renew(lease, self.place.lease_seconds)  # raises when it is lost
            message = (
                "a worker does not find the lease of this run: its ETL_DATABASE_URL names "
                "another database"
            )
            raise ConfigError(message) from exc
        except Exception as exc:  # noqa: BLE001 - what is really wrong is met here again
            _log.warning("a share of the totals is computed here: %s", fault_of(exc))
            return here(share)


def shares_of(pairs: pl.DataFrame, bucket_count: int) -> Iterator[pl.DataFrame]:
    """Cut cycles into shares by customer bucket; none is empty, order is kept."""
    buckets = [bucket_of(each, bucket_count) for each in pairs["customer_id"]]
    numbered = pairs.with_columns(pl.Series("bucket", buckets, pl.Int64))
    yield from numbered.partition_by("bucket", maintain_order=True, include_key=False)


def bucket_of(customer_id: int, bucket_count: int) -> int:
    """The bucket of a customer; the same on every machine and in every release."""
    return crc32(str(customer_id).encode()) % bucket_count
