"""Imports: the queue of deliveries, their ledger, and the way their records are stored.

Effects: the database. Rules kept here (docs/decisions/0003): progress commits with the
data, every commit proves the fence, and the completeness mark comes last. A batch is
whole in ``call_detail_record`` together with its row in ``import_batch``, or absent.

Units: ``_micros`` whole micros, ``_ms`` milliseconds, ``_s`` seconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from loaders.database import Database, Row, Transaction
from loaders.leases import Lease, Leases
from transforms import cdr
from transforms.errors import FenceLost, LeaseHeld, StoreError
from transforms.money import exact_sum
from transforms.outcome import Outcome

CUSTOMERS_PER_QUERY = 500
"""Customer ids in one range query over the clustered key (measured; see decision 0004)."""

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

KNOWN_RECORD: cdr.Schema = {**KNOWN, **cdr.CONTENT}
"""A stored record beside its key."""


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


@dataclass(frozen=True)
class ImportRow:
    """An import as the queue knows it."""

    id: int
    provider: str
    is_locked: bool
    is_complete: bool
    status: str
    message: str | None
    file_name: str
    sha256: str
    outcome: Outcome
    duration_ms: int
    fence: int
    control_text: str | None


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
    """Records of one import that are kept beside the loaded ones, one frame a table."""

    rejected: Iterator[pl.DataFrame]
    suspended: Iterator[pl.DataFrame]
    conflict: Iterator[pl.DataFrame]
    duplicate: Iterator[pl.DataFrame]


class ImportStore:
    """The door for deliveries and their records."""

    def __init__(self, database: Database, leases: Leases, lease_s: int) -> None:
        """Remember the database; nothing is opened."""
        self._database = database
        self._leases = leases
        self._lease_s = lease_s

    def register(self, new: NewImport) -> ImportRow:
        """Return the import of these bytes, written now when they are new."""

        def work(tx: Transaction) -> ImportRow:
            found = _by_content(tx, new.provider, new.sha256)
            if found is not None and new.control_text not in (None, found.control_text):
                tx.execute(
                    "import/keep_control", import_id=found.id, control_text=new.control_text
                )
                found = _by_content(tx, new.provider, new.sha256)
            if found is None:
                tx.insert("import/register", type=f"{new.provider}_cdr", **vars(new))
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

    def half_loaded(self, claim: Claim) -> list[int]:
        """Return other imports of the provider that stopped with batches stored."""
        with self._database.snapshot() as tx:
            rows = tx.rows(
                "import/half_loaded", provider=claim.provider, import_id=claim.import_id
            )
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

    def take_provider(self, provider: str, owner: str) -> Lease:
        """Take the provider's lease: one import of a provider at a time.

        Raises:
            LeaseHeld: When another live run imports this provider.
        """
        return self._leases.acquire(f"import:{provider}", owner, self._lease_s)

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
        self._database.run(lambda tx: self.hold_fence(tx, claim))

    def ledger(self, claim: Claim) -> Ledger:
        """Return what is proven to be stored of this import."""
        with self._database.snapshot() as tx:
            row = tx.row("import/ledger", import_id=claim.import_id)
        if row is None:
            return Ledger(0, 0, 0)
        return Ledger(
            int(row["last_batch_no"]), int(row["record_count"]), int(row["cost_micros"])
        )

    def known_keys(
        self, provider: str, first: datetime, last: datetime, late_days: int
    ) -> Iterator[pl.DataFrame]:
        """Read the provider's stored keys (KNOWN) around a delivery, page by page.

        All customers are asked, not only those of the delivery: the same record may
        come again under another owner or at another time.

        Args:
            provider: Profile id.
            first: Earliest wall clock in the delivery.
            last: Latest wall clock in the delivery.
            late_days: How far before and after to look.
        """
        window = timedelta(days=late_days + 1)
        with self._database.snapshot() as tx:
            ids = [int(row["customer_id"]) for row in tx.rows("import/customer_ids")]
            for start in range(0, len(ids), CUSTOMERS_PER_QUERY):
                yield from tx.frames(
                    "import/known_keys",
                    KNOWN,
                    provider=provider,
                    customer_ids=ids[start : start + CUSTOMERS_PER_QUERY],
                    from_date=first - window,
                    to_date=last + window,
                )

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
        """Write what is kept beside the loaded records, in one transaction.

        What an earlier attempt wrote is replaced, so that a resumed import tells of
        each record once.
        """
        with self._database.transaction() as tx:
            self.hold_fence(tx, claim)
            for table, frames in vars(kept).items():
                tx.execute(f"import/clear_{table}", import_id=claim.import_id)
                for frame in frames:
                    tx.load(f"{table}_record", frame)
            self.hold_fence(tx, claim)

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
        ledger = _ledger_rows(rows, claim.import_id, first_batch_no, batch_rows)
        with self._database.transaction() as tx:
            for key in replaced.iter_rows(named=True):
                tx.execute(
                    "import/keep_superseded", superseded_by_import_id=claim.import_id, **key
                )
                tx.execute("import/remove_superseded", **key)
            tx.load("call_detail_record", rows, batch_rows=batch_rows)
            tx.load("import_batch", ledger)
            self.hold_fence(tx, claim)
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
        outcome=Outcome(**counts),
        duration_ms=int(row["duration_ms"]),
        fence=int(row["fence"]),
        control_text=row["control_text"],
    )


def _ledger_rows(
    rows: pl.DataFrame, import_id: int, first_batch_no: int, batch_rows: int
) -> pl.DataFrame:
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


def keys_of(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the KNOWN rows of several pages as one frame."""
    return pl.concat([pl.DataFrame(schema=KNOWN), *frames])
