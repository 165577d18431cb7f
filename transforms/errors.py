"""Everything that can go wrong in the world, in one tree, each with its exit code.

Faults in data are rows (rejected, suspended); faults in the world are these::

    BillingError                 3  failed, safe to run again
    |-- ConfigError              2  a person must edit a file, a setting or a command
    |-- ContractError            3  our own promise broke; nothing more is written
    |-- MoneyError               4  money does not reconcile
    |-- DeliveryRefused          1  a delivery that is not what its profile says
    |   `-- BadArchive           1  a ZIP that is damaged, hostile or unsupported
    |-- SourceError              3  a provider's service answered with a fault
    |   |-- SourceUnavailable    3  worth trying again later
    |   `-- SourceRejected       2  credentials or request refused; retrying is useless
    |-- StoreError               3  the database refused
    |   |-- StoreUnavailable     3  the database cannot be reached; worth trying again
    |   |   `-- StoreBusy        3  another transaction was in the way; run this one again
    |   `-- FenceLost            3  another owner took over; this one must not write
    |-- StorageError             3  the disk refused; worth trying again with room on it
    |-- WorkerLost               3  those that worked on a task died over it
    |-- LeaseHeld               75  another run holds the lease
    `-- Stopped                143  stopped by SIGTERM after a checkpoint

Messages name file, key and next step, never a phone number and never a secret.
Only ``etl/cli.py`` catches ``BillingError``, prints one line and exits with the code.
"""


class BillingError(Exception):
    """Something outside the data went wrong; running again is safe."""

    exit_code = 3


class ConfigError(BillingError):
    """A person must edit a file, a setting or a command before this can work."""

    exit_code = 2


class ContractError(BillingError):
    """A promise this code makes to itself broke; nothing more may be written."""


class MoneyError(BillingError):
    """Amounts that must be equal are not."""

    exit_code = 4


class DeliveryRefused(BillingError):  # noqa: N818 - the field's word for it
    """A whole delivery is not what its profile says; nothing of it is loaded."""

    exit_code = 1


class BadArchive(DeliveryRefused):
    """An archive is damaged, hostile or of a kind we do not open."""


class SourceError(BillingError):
    """A provider's service answered with a fault."""


class SourceUnavailable(SourceError):  # noqa: N818 - a state, not a mistake
    """The service is busy, slow or away; worth trying again later.

    Attributes:
        retry_after_s: Seconds the service asked for, or None when it did not say.
    """

    def __init__(self, message: str, retry_after_s: int | None = None) -> None:
        """Keep the service's own waiting time beside the message."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SourceRejected(SourceError):  # noqa: N818 - the service's word for it
    """The service refused the credentials or the request; trying again is useless."""

    exit_code = 2


class StoreError(BillingError):
    """The database refused a statement."""


class StoreUnavailable(StoreError):  # noqa: N818 - a state, not a mistake
    """The database cannot be reached or lost the connection; worth trying again."""


class StoreBusy(StoreUnavailable):
    """Another transaction was in the way (deadlock, lock wait); run this one again."""


class FenceLost(StoreError):  # noqa: N818 - a state, not a mistake
    """Another owner took this work over; what this one had not committed is undone."""


class StorageError(BillingError):
    """The disk refused to keep a file: full, read-only, over quota or unreachable."""


class WorkerLost(BillingError):  # noqa: N818 - a state, not a mistake
    """The processes or machines that worked on a task died over it."""


class LeaseHeld(BillingError):  # noqa: N818 - a state, not a mistake
    """Another live run holds the lease on this work."""

    exit_code = 75


class Stopped(BillingError):  # noqa: N818 - a state, not a mistake
    """SIGTERM arrived; the batch in hand was finished and the work handed back."""

    exit_code = 143
