"""Imports: the queue of deliveries, their ledger, and the way their records are stored.

Effects: the database. Rules kept here (docs/decisions/0003): progress commits with the
data, every commit proves the fence, and the completeness mark comes last. A batch is
whole in ``call_detail_record`` together with its row in ``import_batch``, or absent.

Units: ``_micros`` whole micros, ``_ms`` milliseconds, ``_s`` seconds.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import polars as pl

from loaders.database import Database, Row, Transaction
from loaders.leases import Lease, Leases
from transforms import cdr
from transforms.errors import (
    FenceLost,
    LeaseHeld,
    StoreBusy,
    StoreError,
    StoreUnavailable,
)
from transforms.met_before import DeliveryOrder, is_among
from transforms.money import exact_sum
from transforms.outcome import Outcome

CUSTOMERS_PER_QUERY = 500
"""Customer ids in one range query over the clustered key (measured; see decision 0004)."""

ASIDE_ROWS = 50_000
"""Records set aside in one transaction."""

RECONNECT_WAITS_S = (1, 2, 4, 8)
"""Pauses before a commit is tried again on a database that went away."""

STORED: cdr.Schema = {
    "customer_id": pl.Int64(),
    "call_date": cdr.INSTANT,
    "import_id": pl.Int64(),
    "member": pl.String(),
    "line_no": pl.Int64(),
    "provider": pl.String(),
    "layout": pl.String(),
    **cdr.CONTENT,
    "flags": pl.String(),
    "fingerprint": pl.Int64(),
}
"""A row of ``call_detail_record``, generated columns left out."""

WAITING: cdr.Schema = {
    "member": pl.String(),
    "line_no": pl.Int64(),
    "reason_code": pl.String(),
    "reason": pl.String(),
    "raw": pl.String(),
    "provider": pl.String(),
    "layout": pl.String(),
    **cdr.CONTENT,
    "flags": pl.String(),
    "fingerprint": pl.Int64(),
}
"""A row of ``suspended_record`` without its import: a record that waits for an owner."""

KNOWN: cdr.Schema = {**cdr.KEY, "import_id": pl.Int64()}
"""A key that is stored already, and the import that stored it."""

FINGERPRINT: cdr.Schema = {"fingerprint": pl.Int64()}

KNOWN_RECORD: cdr.Schema = {**KNOWN, **cdr.CONTENT}
"""A stored record beside its key."""

OWN_RECORD: cdr.Schema = {
    "customer_id": pl.Int64(),
    "call_date": cdr.INSTANT,
    "member": pl.String(),
    "line_no": pl.Int64(),
    "cost_micros": pl.Int64(),
}
"""A record that an earlier attempt stored: whose it is, and where it stood."""


@dataclass(frozen=True)
class NewImport:
    """A delivery as it is first seen."""

    provider: str
    file_name: str
    sha256: str
    size_bytes: int
    account: str | None
    period: str | None
    sequence: str | None
    profile_version: str
    profile_sha256: str
    control_text: str | None = None
    """The text of the control file that came beside it (``control.kind = "sidecar"``)."""

    @property
    def named(self) -> dict[str, str | None]:
        """What its name says, and its control file."""
        words = ("file_name", "account", "period", "sequence", "control_text")
        return {word: getattr(self, word) for word in words}


@dataclass(frozen=True)
class ImportRow:
    """An import as the queue knows it; ``account`` to ``sequence`` are its file name's."""

    id: int
    provider: str
    is_locked: bool
    is_complete: bool
    status: str
    message: str | None
    file_name: str
    sha256: str
    account: str | None
    period: str | None
    sequence: str | None
    outcome: Outcome
    duration_ms: int
    fence: int
    profile_sha256: str | None
    control_text: str | None

    @property
    def order(self) -> DeliveryOrder:
        """Its place among the deliveries of its account."""
        return DeliveryOrder(self.account, self.period, self.sequence)


@dataclass(frozen=True)
class Claim:
    """The right to write one import: its fence, and its provider's lease."""

    import_id: int
    provider: str
    owner: str
    fence: int
    lease_s: int
    provider_lease: Lease


@dataclass(frozen=True)
class Ledger:
    """What ``import_batch`` proves to be stored of one import."""

    last_batch_no: int
    record_count: int
    cost_micros: int


@dataclass(frozen=True)
class SetAside:
    """Records of one import that are kept beside the loaded ones, by table.

    Each can be walked through more than once, should the database go away in between.
    """

    rejected: Iterable[pl.DataFrame] = ()
    suspended: Iterable[pl.DataFrame] = ()
    conflict: Iterable[pl.DataFrame] = ()
    duplicate: Iterable[pl.DataFrame] = ()


class ImportStore:
    """The door for deliveries and their records."""

    def __init__(self, database: Database, leases: Leases, lease_s: int) -> None:
        """Remember the database; nothing is opened."""
        self._database = database
        self._leases = leases
        self._lease_s = lease_s

    def register(self, new: NewImport) -> ImportRow:
        """Return the import of these bytes, written now when they are new.

        Until some of it is stored, name and control file are those of the last time it
        was given: a delivery refused for either is mended by giving it again.
        """

        def work(tx: Transaction) -> ImportRow:
            found = _by_content(tx, new.provider, new.sha256)
            if found is None:
                # Not at once: MySQL takes a number also for a row that is there already,
                # and numbers should follow from what was imported alone.
                tx.execute("import/register", type=f"{new.provider}_cdr", **vars(new))
                found = _by_content(tx, new.provider, new.sha256)
            if found is not None and not found.is_complete:
                tx.execute("import/renew", import_id=found.id, **new.named)
                found = _by_content(tx, new.provider, new.sha256)
            if found is None:
                message = f"the import of {new.file_name} was written but is not there"
                raise StoreError(message)
            return found

        return self._database.run(work)

    def find(self, import_id: int) -> ImportRow | None:
        """Return one import, or None."""
        with self._database.snapshot() as tx:
            row = tx.row("import/by_id", import_id=import_id)
        return None if row is None else _import_row(row)

    def by_content(self, provider: str, sha256: str) -> ImportRow | None:
        """Return the import of these bytes, or None when they were never seen."""
        with self._database.snapshot() as tx:
            return _by_content(tx, provider, sha256)

    def recent(self, most: int) -> list[ImportRow]:
        """Return the newest imports first."""
        with self._database.snapshot() as tx:
            return [_import_row(row) for row in tx.rows("import/recent", most=most)]

    def runnable(self, provider: str) -> list[int]:
        """Return the imports that nobody works on and that need no person, oldest first."""

        def work(tx: Transaction) -> list[int]:
            tx.execute("import/free_expired")
            return [int(row["id"]) for row in tx.rows("import/runnable", provider=provider)]

        return self._database.run(work)

    def half_loaded(self, provider: str, but_id: int = 0) -> list[int]:
        """Return the provider's imports that stopped with batches stored, but one."""
        with self._database.snapshot() as tx:
            rows = tx.rows("import/half_loaded", provider=provider, import_id=but_id)
        return [int(row["id"]) for row in rows]

    def claim(self, row: ImportRow, lease: Lease) -> Claim:
        """Take an import under its provider's lease; compare and set on its fence.

        Raises:
            LeaseHeld: When another live owner has it.
        """
        claimed = self._database.run(
            lambda tx: tx.execute(
                "import/claim",
                import_id=row.id,
                seen_fence=row.fence,
                owner=lease.owner,
                lease_s=self._lease_s,
            )
        )
        if claimed != 1:
            message = (
                f"import {row.id} of {row.file_name} is being worked on by another run; "
                "wait for it, or free it with: etl queue:unlock"
            )
            raise LeaseHeld(message)
        return Claim(row.id, row.provider, lease.owner, row.fence + 1, self._lease_s, lease)

    def read_by(self, claim: Claim, version: str, sha256: str) -> None:
        """Remember the profile that reads the delivery; nothing of it is stored yet."""

        def work(tx: Transaction) -> None:
            tx.execute(
                "import/keep_profile",
                import_id=claim.import_id,
                profile_version=version,
                profile_sha256=sha256,
            )
            self.hold_fence(tx, claim)

        self._database.run(work)

    def take_provider(self, provider: str, owner: str) -> Lease:
        """Take the provider's lease: one import of a provider at a time.

        Raises:
            LeaseHeld: When another live run imports this provider.
        """
        return self._leases.acquire(f"import:{provider}", owner, self._lease_s)

    def keep_provider(self, lease: Lease) -> None:
        """Extend the provider's lease between commits.

        Raises:
            FenceLost: When another owner took it over.
        """
        self._leases.renew(lease, self._lease_s)

    def hold_provider(self, tx: Transaction, lease: Lease) -> None:
        """Prove in this transaction that the provider's lease still holds, and extend it.

        Raises:
            FenceLost: When another owner took it over.
        """
        self._leases.require(tx, lease, self._lease_s)

    def free_provider(self, lease: Lease) -> None:
        """Give the provider's lease back."""
        self._leases.release(lease)

    def hold_fence(self, tx: Transaction, claim: Claim) -> None:
        """Prove in this transaction that the claim still holds, and extend it.

        Raises:
            FenceLost: When another owner, or an operator, took the import over.
        """
        held = tx.execute(
            "import/hold_fence",
            import_id=claim.import_id,
            fence=claim.fence,
            owner=claim.owner,
            lease_s=claim.lease_s,
        )
        if held != 1:
            message = (
                f"import {claim.import_id} was taken over or unlocked while this run "
                "worked on it; nothing more is written. Run the import again to resume it."
            )
            raise FenceLost(message)
        self._leases.require(tx, claim.provider_lease, claim.lease_s)

    def heartbeat(self, claim: Claim) -> None:
        """Extend the claim between commits."""
        self.surely(lambda tx: self.hold_fence(tx, claim))

    def surely(
        self,
        work: Callable[[Transaction], None],
        is_done: Callable[[], bool] = lambda: False,
    ) -> None:
        """Commit some work, also when the database went away and came back.

        A commit whose answer was lost may have happened: ``is_done`` asks the database
        before the work is tried again.

        Raises:
            StoreUnavailable: When the database stays away.
        """
        for wait_s in RECONNECT_WAITS_S:
            try:
                self._database.run(work)
            except StoreBusy:
                raise
            except StoreUnavailable:
                time.sleep(wait_s)
                if self._is_surely(is_done):
                    return
            else:
                return
        self._database.run(work)

    def _is_surely(self, is_done: Callable[[], bool]) -> bool:
        """Ask; a database that is still away has to be tried again anyway."""
        try:
            return is_done()
        except StoreUnavailable:
            return False

    def ledger(self, claim: Claim) -> Ledger:
        """Return what is proven to be stored of this import."""
        with self._database.snapshot() as tx:
            row = tx.row("import/ledger", import_id=claim.import_id)
        if row is None:
            return Ledger(0, 0, 0)
        return Ledger(
            int(row["last_batch_no"]), int(row["record_count"]), int(row["cost_micros"])
        )

    def _has_batch(self, claim: Claim, batch_no: int) -> bool:
        with self._database.snapshot() as tx:
            row = tx.row("import/batch", import_id=claim.import_id, batch_no=batch_no)
        return row is not None

    def known_keys(
        self,
        provider: str,
        first: datetime,
        last: datetime,
        late_days: int,
        wanted: pl.Series,
    ) -> Iterator[pl.DataFrame]:
        """Read the wanted ones of a provider's stored keys (KNOWN), page by page.

        All customers are asked, not only those of the delivery: the same record may
        come again under another owner or at another time. Most pages hold none of the
        wanted keys, so a page's fingerprints are read first, and its keys if they must.

        Args:
            provider: Profile id.
            first: Earliest wall clock in the delivery.
            last: Latest wall clock in the delivery.
            late_days: How far before and after to look.
            wanted: Fingerprints of the delivery, sorted.
        """
        window = timedelta(days=late_days + 1)
        around: dict[str, Any] = {
            "provider": provider,
            "from_date": first - window,
            "to_date": last + window,
        }
        with self._database.snapshot() as tx:
            for page in _customer_pages(tx):
                asked = {"customer_ids": page, **around}
                stored = tx.frames("import/known_fingerprints", FINGERPRINT, **asked)
                met = [is_among(some["fingerprint"], wanted).any() for some in stored]
                if not any(met):
                    yield pl.DataFrame(schema=KNOWN)
                    continue
                for keys in tx.frames("import/known_keys", KNOWN, **asked):
                    yield keys.filter(is_among(keys["fingerprint"], wanted))

    def own_records(
        self, claim: Claim, first: datetime, last: datetime
    ) -> Iterator[pl.DataFrame]:
        """Read what earlier attempts stored (OWN_RECORD), page by page.

        Args:
            claim: The import.
            first: Earliest instant in the delivery; wall clocks are less than two days off.
            last: Latest instant in the delivery.
        """
        window = timedelta(days=2)
        return self._pages(
            "import/own_records",
            OWN_RECORD,
            {
                "import_id": claim.import_id,
                "from_date": first - window,
                "to_date": last + window,
            },
        )

    def replaced(self, claim: Claim) -> pl.DataFrame:
        """Read the keys (KEY) of the records that this import has replaced so far."""
        with self._database.snapshot() as tx:
            return tx.frame("import/replaced", cdr.KEY, import_id=claim.import_id)

    def _pages(
        self, path: str, schema: cdr.Schema, params: dict[str, Any]
    ) -> Iterator[pl.DataFrame]:
        """Ask by ranges of the clustered key: some customers, a stretch of time."""
        with self._database.snapshot() as tx:
            for page in _customer_pages(tx):
                yield from tx.frames(path, schema, customer_ids=page, **params)

    def stored_records(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Read the stored records (KNOWN_RECORD) of these keys (KEY)."""
        wanted = cdr.require(keys, cdr.KEY, "stored_records")
        if wanted.is_empty():
            return pl.DataFrame(schema=KNOWN_RECORD)

        def work(tx: Transaction) -> pl.DataFrame:
            tx.execute("import/create_wanted_key")
            tx.execute("import/clear_wanted_key")
            tx.load("wanted_key", wanted)
            found = tx.frame("import/wanted_records", KNOWN_RECORD)
            tx.execute("import/clear_wanted_key")
            return found

        return self._database.run(work)

    def set_aside(self, claim: Claim, kept: SetAside) -> None:
        """Write what is kept beside the loaded records, some at a time.

        What an earlier attempt wrote is replaced, so that a resumed import tells of
        each record once.
        """
        for wait_s in RECONNECT_WAITS_S:
            try:
                return self._set_aside(claim, kept)
            except StoreBusy:
                raise
            except StoreUnavailable:
                time.sleep(wait_s)
        return self._set_aside(claim, kept)

    def _set_aside(self, claim: Claim, kept: SetAside) -> None:
        def clear(tx: Transaction) -> None:
            for table in vars(kept):
                tx.execute(f"import/clear_{table}", import_id=claim.import_id)
            self.hold_fence(tx, claim)

        def keep(table: str, rows: pl.DataFrame, tx: Transaction) -> None:
            tx.load(f"{table}_record", rows)
            self.hold_fence(tx, claim)

        self._database.run(clear)
        for table, frames in vars(kept).items():
            for rows in _gathered(frames, ASIDE_ROWS):
                self._database.run(partial(keep, table, rows))

    def load(
        self,
        claim: Claim,
        records: pl.DataFrame,
        *,
        first_batch_no: int,
        batch_rows: int,
        replaced: pl.DataFrame,
    ) -> int:
        """Store records with their ledger rows in one fenced transaction.

        Args:
            claim: The right to write this import.
            records: Rows of STORED, in key order, none of them stored before.
            first_batch_no: Number of the first batch; one more for each ``batch_rows``.
            batch_rows: Records in one LOAD DATA and in one ledger row.
            replaced: Keys (KEY) of stored records that these rows supersede.

        Returns:
            How many batches were written.

        Raises:
            FenceLost: When the claim no longer holds; nothing of this call is stored.
            StoreError: When the database would not store a row exactly as sent.
        """
        rows = cdr.require(records, STORED, "load")
        ledger = ledger_rows(rows, claim.import_id, first_batch_no, batch_rows)

        def work(tx: Transaction) -> None:
            supersede(tx, claim.import_id, replaced)
            tx.load("call_detail_record", rows, batch_rows=batch_rows)
            tx.load("import_batch", ledger)
            self.hold_fence(tx, claim)

        self.surely(work, lambda: self._has_batch(claim, first_batch_no))
        return ledger.height

    def finish(
        self,
        tx: Transaction,
        claim: Claim,
        outcome: Outcome,
        cycles: pl.DataFrame,
        *,
        duration_ms: int,
        call_dates: tuple[datetime, datetime] | None,
        message: str | None,
    ) -> None:
        """Mark the import complete, inside the caller's transaction; the last write."""
        self.hold_fence(tx, claim)
        tx.execute("import/clear_cycles", import_id=claim.import_id)
        tx.load(
            "import_cycle",
            cycles.select(pl.lit(claim.import_id, pl.Int64).alias("import_id"), pl.all()),
        )
        first, last = call_dates or (None, None)
        tx.execute(
            "import/finish",
            import_id=claim.import_id,
            duration_ms=duration_ms,
            first_call_date=first,
            last_call_date=last,
            message=message,
            **vars(outcome),
        )

    def stop(self, claim: Claim, status: str, message: str, outcome: Outcome) -> None:
        """End this attempt as ``refused``, ``held``, ``failed`` or ``waiting``."""

        def work(tx: Transaction) -> None:
            self.hold_fence(tx, claim)
            tx.execute(
                "import/stop",
                import_id=claim.import_id,
                status=status,
                message=message,
                records=outcome.records,
                rejected=outcome.rejected,
            )

        self._database.run(work)


def _customer_pages(tx: Transaction) -> Iterator[list[int]]:
    ids = [int(row["customer_id"]) for row in tx.rows("import/customer_ids")]
    for start in range(0, len(ids), CUSTOMERS_PER_QUERY):
        yield ids[start : start + CUSTOMERS_PER_QUERY]


def supersede(tx: Transaction, import_id: int, replaced: pl.DataFrame) -> None:
    """Move stored records (KEY) to history, because an import delivers them anew.

    Raises:
        StoreError: When one of them is not there to be moved.
    """
    for key in replaced.iter_rows(named=True):
        kept = tx.execute(
            "import/keep_superseded", superseded_by_import_id=import_id, **key
        )
        removed = tx.execute("import/remove_superseded", **key)
        if (kept, removed) != (1, 1):
            message = (
                f"import {import_id} replaces a record of customer {key['customer_id']} at "
                f"{key['call_date']} that is not there any more; run it again"
            )
            raise StoreError(message)


def _gathered(frames: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Put small frames together until they have about so many rows."""
    held: list[pl.DataFrame] = []
    count = 0
    for frame in frames:
        held.append(frame)
        count += frame.height
        if count >= rows:
            yield pl.concat(held)
            held, count = [], 0
    if held:
        yield pl.concat(held)


def _by_content(tx: Transaction, provider: str, sha256: str) -> ImportRow | None:
    row = tx.row("import/by_content", provider=provider, sha256=sha256)
    return None if row is None else _import_row(row)


def _import_row(row: Row) -> ImportRow:
    counts = {name: int(row[name]) for name in Outcome.__dataclass_fields__}
    return ImportRow(
        id=int(row["id"]),
        provider=row["provider"],
        is_locked=bool(row["locked"]),
        is_complete=bool(row["complete"]),
        status=row["status"],
        message=row["message"],
        file_name=row["file_name"],
        sha256=row["sha256"],
        account=row["account"],
        period=row["period"],
        sequence=row["sequence"],
        outcome=Outcome(**counts),
        duration_ms=int(row["duration_ms"]),
        fence=int(row["fence"]),
        profile_sha256=row["profile_sha256"],
        control_text=row["control_text"],
    )


def ledger_rows(
    rows: pl.DataFrame, import_id: int, first_batch_no: int, batch_rows: int
) -> pl.DataFrame:
    """Describe batches (rows of ``import_batch``) of records in their order."""
    numbered = rows.select(
        (pl.int_range(pl.len(), dtype=pl.Int64) // batch_rows + first_batch_no).alias(
            "batch_no"
        ),
        "line_no",
        "cost_micros",
    )
    return (
        numbered.group_by("batch_no")
        .agg(
            pl.col("line_no").min().alias("first_line"),
            pl.col("line_no").max().alias("last_line"),
            pl.len().cast(pl.Int64).alias("record_count"),
            exact_sum("cost_micros"),
        )
        .sort("batch_no")
        .select(pl.lit(import_id, pl.Int64).alias("import_id"), pl.all())
    )
