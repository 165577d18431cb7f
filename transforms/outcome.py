"""What became of each record of a delivery: the counts that must add up.

Pure. Conservation: every physical record ends in exactly one of loaded, duplicate,
conflict, rejected, suspended or ignored.
"""

from dataclasses import dataclass

from transforms.errors import MoneyError


@dataclass(frozen=True)
class Outcome:
    """Records of one delivery by where they ended, and the money of the loaded ones."""

    records: int = 0
    loaded: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    suspended: int = 0
    ignored: int = 0
    cost_micros: int = 0

    @property
    def accounted(self) -> int:
        """How many records have an end."""
        set_aside = self.duplicates + self.conflicts + self.rejected
        return self.loaded + set_aside + self.suspended + self.ignored

    def conserved(self, file_name: str) -> "Outcome":
        """Return itself when every record is accounted for once.

        Raises:
            MoneyError: Naming the file and the difference; nothing may be completed.
        """
        if self.accounted != self.records:
            message = (
                f"{file_name}: {self.records} records were read but {self.accounted} are "
                "accounted for; the import is not completed. Report this with the file."
            )
            raise MoneyError(message)
        return self
