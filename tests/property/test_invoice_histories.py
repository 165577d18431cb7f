"""Whatever happens to a cycle, its invoices add up: lines, header and totals are one.

Random histories: totals that change, charges, credit notes and new invoices after them,
under every way of rounding. ``INVOICE_HISTORIES`` says how many, ``INVOICE_SEED`` which
one is the first. The amounts are compared with a model of a few lines in fractions.
"""

import os
import random
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from math import floor

import pytest

from transforms.invoice import Amounts, Draft, issued
from transforms.invoicing import (
    Charge,
    Terms,
    Usage,
    credit_amounts,
    delta_amounts,
    invoice_amounts,
    standing,
    terms_from,
    terms_record,
)
from transforms.vat import VatRule

HISTORIES = int(os.environ.get("INVOICE_HISTORIES", "200"))
FIRST = int(os.environ.get("INVOICE_SEED", "1"))

MODES = ("up", "half-up", "half-even", "down")
TYPES = ("voice", "data", "sms", "content", "fee", "adjustment")
ZONES = ("", "EU", "US")


def rounded(exact: Fraction, mode: str) -> int:
    """Round to a whole number, away from zero where the mode goes up."""
    sign, size = (-1 if exact < 0 else 1), abs(exact)
    whole, rest = floor(size), size - floor(size)
    half = Fraction(1, 2)
    up = {
        "up": rest > 0,
        "half-up": rest >= half,
        "half-even": rest > half or (rest == half and whole % 2 == 1),
        "down": False,
    }[mode]
    return sign * (whole + up)


@dataclass
class History:
    """One cycle, from its first totals to its last document."""

    chance: random.Random
    terms: Terms
    usage: list[Usage] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    charged: list[Charge] = field(default_factory=list)
    documents: list[Draft] = field(default_factory=list)

    def change_totals(self) -> None:
        kept = [each for each in self.usage if self.chance.random() < 0.8]
        keys = {(each.usage_type, each.zone) for each in kept}
        for _ in range(self.chance.randrange(4)):
            key = (self.chance.choice(TYPES), self.chance.choice(ZONES))
            if key not in keys:
                keys.add(key)
                cost = self.chance.choice([1, 7, 4_999, 5_000, 10_000, 12_345_678_901])
                cost = self.chance.randrange(-cost // 4, cost + 1)
                kept.append(Usage(*key, self.chance.randrange(1, 99), 60, 0, 0, cost))
        self.usage = kept

    def invoice(self) -> None:
        stand = standing(self.documents)
        if not stand:
            self.charged = list(self.charges)
            self.keep("invoice", invoice_amounts(self.usage, self.charges, self.terms))
            return
        before = [each.amounts for each in stand]
        delta = delta_amounts(before, self.usage, terms_from(stand[0].terms))
        if delta is not None:
            self.keep("delta", delta)

    def credit(self) -> None:
        if stand := standing(self.documents):
            self.keep("credit", credit_amounts([each.amounts for each in stand]))

    def keep(self, kind: str, amounts: Amounts) -> None:
        draft = Draft(
            kind=kind,  # type: ignore[arg-type]  # one of the kinds
            customer_id=1,
            cycle_start_date=date(2026, 10, 1),
            cycle_end_date=date(2026, 11, 1),
            document_no=len(self.documents) + 1,
            base_revision=0,
            revision=1,
            totals_sha256="",
            method="standard",
            currency="EUR",
            issue_date=date(2026, 11, 2),
            due_date=date(2026, 12, 2),
            refers_to=(),
            issued_by="",
            reason="",
            supplier={},
            customer={},
            terms=terms_record(self.terms),
            notes=(),
            amounts=amounts,
        )
        issued(draft, "F", 1)  # raises when anything does not add up
        self.documents.append(draft)

    def check(self) -> None:
        """Hold what stands against the totals and the model."""
        stand = [each.amounts for each in standing(self.documents)]
        everything = [each.amounts for each in self.documents]
        if not stand:
            assert sum(each.gross_cents for each in everything) == 0
            assert sum(each.usage_micros for each in everything) == 0
            return
        exact = Fraction(
            sum(each.cost_micros for each in self.usage)
            + sum(each.amount_micros for each in self.charged),
            10_000,
        )
        cents = rounded(exact, self.terms.mode)
        vat = self.terms.vat
        if vat.prices_include:
            assert sum(each.gross_cents for each in stand) == cents
        else:
            assert sum(each.net_cents for each in stand) == cents
        for each in stand:
            self.check_vat(each)
        for each in everything:
            kinds = [line.kind for line in each.lines]
            assert kinds.count("rounding") <= 1

    def check_vat(self, amounts: Amounts) -> None:
        vat = self.terms.vat
        taxed = [each for each in amounts.lines if each.vat_rate_bp == vat.rate_bp]
        share = Fraction(vat.rate_bp, 10_000)
        if vat.prices_include:
            priced = sum(each.amount_cents for each in taxed if each.kind != "vat_included")
            expected = rounded(priced * share / (1 + share), vat.mode)
        elif vat.rounding == "line":
            expected = sum(rounded(each.amount_cents * share, vat.mode) for each in taxed)
        else:
            net = sum(each.amount_cents for each in taxed)
            expected = rounded(net * share, vat.mode)
        assert sum(each.vat_cents for each in amounts.vat) == expected


def begin(seed: int) -> History:
    chance = random.Random(seed)
    mode = chance.choice(MODES)
    rule = VatRule(
        rate_bp=chance.choice([2100, 900, 1, 2_555]),
        rounding=chance.choice(["invoice", "line"]),
        mode=chance.choice(MODES),  # type: ignore[arg-type]  # one of the modes
        prices_include=chance.random() < 0.2,
    )
    if chance.random() < 0.1:
        rule = replace(rule, rate_bp=0, category="Z", prices_include=False)
    terms = Terms(rule, mode)  # type: ignore[arg-type]  # one of the modes
    history = History(chance, terms)
    for number in range(chance.randrange(3)):
        amount = chance.randrange(-3_000_000, 30_000_001)
        history.charges.append(Charge("recurring", f"Charge {number}", amount))
    return history


@pytest.mark.parametrize("seed", range(FIRST, FIRST + HISTORIES))
def test_lines_header_and_totals_of_a_random_history_are_one(seed: int) -> None:
    history = begin(seed)
    history.change_totals()
    for _ in range(history.chance.randrange(1, 8)):
        history.invoice()
        history.check()
        if history.chance.random() < 0.15:
            history.credit()
            history.check()
            history.invoice()
            history.check()
        history.change_totals()
    invoiced = [each.amounts.usage_micros for each in standing(history.documents)]
    history.invoice()
    now = sum(each.cost_micros for each in history.usage)
    after = sum(each.amounts.usage_micros for each in standing(history.documents))
    # A change of less than a cent waits for the next correction.
    assert after == now or after == sum(invoiced)
