"""What a rate plan says about VAT, read from the version that rated a cycle.

Effects: reads the database through the invoice store; each plan is read once.
"""

from collections.abc import Callable
from dataclasses import replace

from etl.rate_plan_files import stored_rate_plan
from transforms.errors import ConfigError
from transforms.rate_plan import Vat
from transforms.vat import VatRule, read_percent

AND = " + "
"""What stands between the names of plans that share a cycle."""

Document = Callable[[str, str | None], str | None]
"""The stored texts of a plan's version, or None when there is no such version."""


class PlanVat:
    """Looks up the VAT rule of plans."""

    def __init__(self, document: Document) -> None:
        """Remember where plans are kept; nothing is read."""
        self._document = document
        self._known: dict[tuple[str, str | None], Vat] = {}

    def __call__(self, names: str, version: str | None, usual: VatRule) -> VatRule:
        """Return the rule of the plan, or plans, of a cycle.

        A plan that says no rate leaves it to the settings. Of several plans in one cycle
        the current versions count, and they must agree.

        Raises:
            ConfigError: When a plan is not stored, or plans of one cycle disagree.
        """
        each = names.split(AND)
        found = {self._vat(name, version if len(each) == 1 else None) for name in each}
        if len(found) > 1:
            message = (
                f"plans {names} share a cycle and differ in their VAT; make them agree"
            )
            raise ConfigError(message)
        vat = found.pop()
        rate_bp = read_percent(vat.rate)
        if rate_bp == 0:
            return usual
        return replace(
            usual,
            rate_bp=rate_bp,
            rounding=vat.rounding,
            prices_include=vat.prices_include,
        )

    def _vat(self, name: str, version: str | None) -> Vat:
        if (name, version) not in self._known:
            document = self._document(name, version)
            if document is None:
                message = (
                    f"rate plan {name} is not stored in the version its totals were made "
                    "with; load it with: etl reference:load DIR"
                )
                raise ConfigError(message)
            self._known[name, version] = stored_rate_plan(document).vat
        return self._known[name, version]
