"""Check: what a file would become, without a database and without keeping anything.

Effects: reads the file and, for a layout with a sidecar, the control file beside it.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from etl.extract.archive import Matched, match_layouts, open_delivery
from etl.reading import Source, lexed_member, require_name, sidecar_of, sidecar_text
from transforms.cdr import REJECTED
from transforms.control import ControlResult, Tally, lost, reconcile
from transforms.dedupe import keys_of, repeated, settle
from transforms.errors import ConfigError
from transforms.normalise import Normaliser, delivery_name
from transforms.profile import Layout, Profile
from transforms.record_json import Document, quarantined_documents, record_documents

FLAG_OF_FATE = {
    "duplicate": "duplicate_exact",
    "conflict": "conflict",
    "superseded": "superseded",
}
"""How a record that would not be loaded is marked."""


@dataclass
class _Found:
    """What the members of one layout hold."""

    accepted: list[pl.DataFrame] = field(default_factory=list)
    rejected: list[pl.DataFrame] = field(default_factory=list)
    ignored: int = 0
    results: list[ControlResult] = field(default_factory=list)


def check_delivery(path: Path, profile: Profile) -> list[Document]:
    """Say what a file would become: one document for each layout it has, in profile order.

    The fixed part of the RoutIT example has 6 records: 5 accepted, 1 duplicate.

    Args:
        path: The delivery.
        profile: How to read it.

    Raises:
        DeliveryRefused: When the file as a whole is not what its profile says.
        ConfigError: When there is no such file.
    """
    found: dict[str, _Found] = {}
    require_name(profile, path.name)
    source = Source(path, path.name, _sha256(path), sidecar_text(path, profile))
    with open_delivery(path, profile.source) as delivery:
        for matched in match_layouts(delivery.members, profile.layouts):
            into = found.setdefault(matched.layout.name, _Found())
            _read_member(source, matched, profile, into)
    return [
        _document(profile, layout, found[layout.name])
        for layout in profile.layouts
        if layout.name in found
    ]


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as delivered:
            return hashlib.file_digest(delivered, "sha256").hexdigest()
    except OSError as exc:
        message = f"cannot read {path}: {exc.strerror}; correct the path"
        raise ConfigError(message) from exc


def _read_member(source: Source, matched: Matched, profile: Profile, into: _Found) -> None:
    name = delivery_name(profile.source, source.file_name)
    normaliser = Normaliser(profile, matched.layout, name)
    tally, hashed = Tally(), hashlib.sha256()
    for lexed in lexed_member(source, matched, hashed):
        read = normaliser.read(lexed.rows)
        into.accepted.append(read.accepted)
        into.rejected.append(pl.concat([lexed.rejected, read.rejected]).sort("line_no"))
        into.ignored += lexed.blank + read.ignored
        tally += read.tally + lost(lexed.rejected)
    sidecar = sidecar_of(source, matched, hashed.hexdigest())
    into.results.append(reconcile(matched.layout, tally, sidecar))


# --- one layout ---------------------------------------------------------------------------


def _document(profile: Profile, layout: Layout, found: _Found) -> Document:
    accepted = _marked(found.accepted, layout)
    rejected = pl.concat([pl.DataFrame(schema=REJECTED), *found.rejected])
    fates = accepted["fate"]
    counts = {
        "accepted": int((fates == "first").sum()),
        "duplicates": int((fates == "duplicate").sum()),
        "conflicts": int(fates.is_in(["conflict", "superseded"]).sum()),
        "rejected": rejected.height,
        "ignored": found.ignored,
    }
    control = _combined(found.results)
    return {
        "provider": profile.id,
        "layout": layout.name,
        "outcome": {"records": sum(counts.values()), **counts},
        "control": {"kind": control.kind, "ok": control.ok, "message": control.message},
        "records": [
            *record_documents(accepted, profile.id, layout.name),
            *quarantined_documents(rejected),
        ],
    }


def _marked(chunks: list[pl.DataFrame], layout: Layout) -> pl.DataFrame:
    """Say in the flags of each record what keeps it from being loaded, if anything."""
    keys = [keys_of(chunk, number) for number, chunk in enumerate(chunks)]
    again = repeated(pl.concat([key["fingerprint"] for key in keys]).sort())
    rows = [
        pl.concat([key.drop("fingerprint"), chunk], how="horizontal")
        for key, chunk in zip(keys, chunks, strict=True)
    ]
    every = pl.concat(rows)
    fates = settle(
        every.filter(pl.col("fingerprint").is_in(again.implode())), layout.dedupe
    )
    settled = every.join(
        fates.select("chunk", "row", "fate"),
        on=["chunk", "row"],
        how="left",
        maintain_order="left",
    ).with_columns(pl.col("fate").fill_null("first"))
    flag = pl.col("fate").replace_strict(FLAG_OF_FATE, default="", return_dtype=pl.String)
    flags = pl.concat_list(pl.col("flags").str.split(","), flag)
    listed = flags.list.filter(pl.element() != "").list.sort().list.join(",")
    return settled.with_columns(flags=listed)


def _combined(results: list[ControlResult]) -> ControlResult:
    """One member failing makes the layout fail; the first failure is told."""
    return next((result for result in results if not result.ok), results[0])
