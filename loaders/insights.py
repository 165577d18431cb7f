"""Insights: things a person should look at, kept with their evidence.

Effects: the database. An insight is known by its content: the same finding again is the
same row, so that what is computed twice is told once, and what was acknowledged stays so.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Literal

from loaders.database import Transaction

Severity = Literal["info", "warning", "alarm"]


@dataclass(frozen=True)
class Insight:
    """One finding: what kind, about whom, and the figures behind it."""

    kind: str
    severity: Severity
    evidence: Mapping[str, object] = field(default_factory=dict)
    customer_id: int | None = None
    provider: str | None = None
    cycle_start_date: date | None = None


def record_insight(tx: Transaction, insight: Insight) -> bool:
    """Record an insight in the caller's transaction, unless it is there already.

    Returns:
        Whether it is new.
    """
    evidence = json.dumps(
        dict(insight.evidence), ensure_ascii=False, sort_keys=True, default=str
    )
    known_by = "\n".join(
        str(part)
        for part in (
            insight.kind,
            insight.customer_id,
            insight.provider,
            insight.cycle_start_date,
            evidence,
        )
    )
    digest = sha256(known_by.encode()).hexdigest()
    if tx.row("insight/find", content_sha256=digest) is not None:
        return False
    tx.execute(
        "insight/record",
        kind=insight.kind,
        severity=insight.severity,
        customer_id=insight.customer_id,
        provider=insight.provider,
        cycle_start_date=insight.cycle_start_date,
        evidence=evidence,
        content_sha256=digest,
    )
    return True
