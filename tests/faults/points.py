"""Every named point where a fault can be made to happen, and the work that passes it.

No effects. A tidy test holds this table to the code: a point that is not here is a commit
or a rename whose faults nobody has tried.
"""

from dataclasses import dataclass

from tests.flow.import_world import ANNA, BERT, STRANGER

ACTIONS = ("raise", "kill", "term", "enospc", "eio", "sleep=1.3")
"""What happens at each of them; the sleep is longer than the lease."""

BY = "--by=Jansen"


@dataclass(frozen=True)
class Flow:
    """Some work, as an operator or a schedule gives it.

    Attributes:
        prepare: What was done before, undisturbed.
        owners: Who owns which number by then; before, Anna is 1 and Bert is 2.
        go: What is disturbed, and given again afterwards.
    """

    name: str
    prepare: tuple[str, ...]
    go: tuple[str, ...]
    owners: tuple[tuple[str, int], ...] = ((ANNA, 1), (BERT, 2))


IMPORT = Flow("import", (), ("import {first} --provider routit", "totals:dispatch"))
WORKER = Flow("worker", ("sync:manager --as-of 2026-11-03T02:00",), ("worker --drain",))
REPLAY = Flow(
    "replay",
    IMPORT.go,
    ("rejects:replay", "totals:dispatch"),
    ((ANNA, 1), (BERT, 2), (STRANGER, 1)),
)
AHEAD = Flow(
    "ahead",
    (),
    (
        "import {first} {second} --provider routit --executor threads:2",
        "totals:dispatch --executor threads:2",
    ),
)
TWO = (*IMPORT.go, "import {second} --provider routit", "totals:dispatch")
REVERT = Flow("revert", TWO, (f"import:revert 1 {BY}", "totals:dispatch"))
REMATCH = Flow(
    "rematch", IMPORT.go, ("cdr:rematch", "totals:dispatch"), ((ANNA, 3), (BERT, 2))
)
INVOICE = Flow(
    "invoice",
    IMPORT.go,
    ("invoice:new --due --as-of 2025-02-03", "invoice:documents --all"),
)
NIGHT = Flow("night", IMPORT.go, ("nightly --as-of 2025-02-03 --patience 0",))
RETENTION = Flow(
    "retention", IMPORT.go, ("retention:apply --as-of 2999-01-01 --cdr-days 30",)
)

FAILS = "import_before_finish:raise,"
SLOW = "import_after_claim:sleep=0.8,"

POINTS: dict[str, tuple[Flow, str]] = {
    "after_claim": (WORKER, ""),
    "after_complete": (WORKER, ""),
    "after_heartbeat": (WORKER, SLOW),
    "after_send": (IMPORT, ""),
    "after_settle": (WORKER, FAILS),
    "before_claim": (WORKER, ""),
    "before_complete": (WORKER, ""),
    "before_heartbeat": (WORKER, SLOW),
    "before_send": (IMPORT, ""),
    "before_settle": (WORKER, FAILS),
    "collect_before_finish": (WORKER, ""),
    "collect_registered": (WORKER, ""),
    "document_before_rename": (INVOICE, ""),
    "folder_after_move": (WORKER, ""),
    "folder_before_move": (WORKER, ""),
    "import_after_claim": (IMPORT, ""),
    "import_after_finish": (IMPORT, ""),
    "import_after_load": (IMPORT, ""),
    "import_after_set_aside": (IMPORT, ""),
    "import_before_claim": (IMPORT, ""),
    "import_before_finish": (WORKER, ""),
    "import_before_load": (IMPORT, ""),
    "import_before_set_aside": (IMPORT, ""),
    "import_in_finish": (WORKER, ""),
    "import_read_early": (AHEAD, ""),
    "in_complete": (WORKER, ""),
    "insight_before_commit": (IMPORT, ""),
    "invoice_after_commit": (INVOICE, ""),
    "invoice_before": (INVOICE, ""),
    "invoice_before_commit": (INVOICE, ""),
    "night_before_rename": (NIGHT, ""),
    "rematch_after_page": (REMATCH, ""),
    "replay_after_commit": (REPLAY, ""),
    "replay_before_commit": (REPLAY, ""),
    "replay_in_commit": (REPLAY, ""),
    "retention_after_reduce": (RETENTION, ""),
    "retention_before_reduce": (RETENTION, ""),
    "revert_after_begin": (REVERT, ""),
    "revert_after_finish": (REVERT, ""),
    "revert_after_offer": (REVERT, ""),
    "revert_after_page": (REVERT, ""),
    "revert_before_begin": (REVERT, ""),
    "revert_before_finish": (REVERT, ""),
    "storage_after_rename": (IMPORT, ""),
    "storage_before_rename": (WORKER, ""),
    "totals_before_share": (AHEAD, ""),
}
"""Each point, the flow that passes it, and what else must happen so that it is passed."""
