"""What rate plans say about invoices beside prices: their VAT, and their charges.

Effects: reads the database; each version of a plan is read once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from etl.rate_plan_files import stored_rate_plan
from loaders.database import Transaction
from loaders.invoices import InvoiceStore
from loaders.rate_plans import RatePlanStore
from transforms.errors import ConfigError
from transforms.rate_plan import RatePlan
from transforms.vat import VatRule, read_percent

AND = " + "
"""What stands between the names of plans that share a cycle."""


@dataclass(frozen=True)
class Held:
    """A plan with charges that a customer has, ``[valid_from, valid_to)``."""

    plan: RatePlan
    valid_from: date | None
    valid_to: date | None


class InvoicePlans:
    """Looks up what plans say."""

    def __init__(self, invoices: InvoiceStore, plans: RatePlanStore) -> None:
        """Remember where plans are kept; nothing is read."""
        self._invoices = invoices
        self._plans = plans
        self._known: dict[tuple[str, str | None], RatePlan] = {}

    def vat(self, names: str, version: str | None, usual: VatRule) -> VatRule:
        """Return the VAT rule of the plan, or plans, of a cycle.

        A plan that says no rate leaves it to the settings. Of several plans in one cycle
        the current versions count, and they must agree.

        Raises:
            ConfigError: When a plan is not stored, or plans of one cycle disagree.
        """
        each = names.split(AND)
        found = {self._plan(name, version if len(each) == 1 else None).vat for name in each}
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

    def with_charges(self, tx: Transaction) -> Mapping[int, Sequence[Held]]:
        """Read which customers have plans that charge something beside usage."""
        assignments = self._plans.assignments_in(tx)
        charging: dict[str, RatePlan] = {}
        names = assignments["rate_plan"].unique().to_list()
        for stored in self._plans.plans_in(tx, names):
            key = (stored.id, stored.version)
            if key not in self._known:
                self._known[key] = stored_rate_plan(stored.document)
            if self._known[key].charges:
                charging[stored.id] = self._known[key]
        held: dict[int, list[Held]] = {}
        for customer_id, name, begin, end in assignments.iter_rows():
            if name in charging:
                held.setdefault(customer_id, []).append(Held(charging[name], begin, end))
        return held

    def _plan(self, name: str, version: str | None) -> RatePlan:
        if (name, version) not in self._known:
            document = self._invoices.plan_document(name, version)
            if document is None:
                message = (
                    f"rate plan {name} is not stored in the version its totals were made "
                    "with; load it with: etl reference:load DIR"
                )
                raise ConfigError(message)
            self._known[name, version] = stored_rate_plan(document)
        return self._known[name, version]
