"""A small carrier for tests: its profile, rows as text, and what they become."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from transforms.normalise import DeliveryName, Normalised, Normaliser
from transforms.profile import Profile, text_column
from transforms.profile_reading import parse_profile

ROW = {
    "id": "1",
    "account": "A1",
    "from": "31600000011",
    "to": "31200000021",
    "day": "03-10-2026",
    "time": "10:00:00",
    "kind": "call",
    "amount_used": "60",
    "unit": "sec",
    "price": "0,10",
    "way": "out",
}
"""A good record of the carrier below."""

DOCUMENT: dict[str, Any] = {
    "schema": "cdr-profile/1",
    "id": "carrier",
    "provider": "Carrier",
    "version": "1",
    "status": "assumed",
    "source": {
        "kind": "file",
        "file_glob": "*.csv",
        "filename_regex": r"(?P<account>\w+)_(?P<period>\d{6})_(?P<seq>\d+)\.csv",
    },
    "layout": [
        {
            "name": "calls",
            "type": "delimited",
            "encoding": "utf-8",
            "null_values": ["-"],
            "locale": {"decimal": ",", "thousands": ".", "negative": ["lead"]},
            "time": {
                "columns": ["day", "time"],
                "format": "%d-%m-%Y %H:%M:%S",
                "timezone": "Europe/Amsterdam",
                "ambiguous": "file_order",
            },
            "numbers": {
                "mask_regex": "[xX*]{2,}$",
                "tokens": {"INTERNET": "data"},
                "bare": "e164",
            },
            "columns": {
                "record_id": "id",
                "account": "account",
                "a_number": "from",
                "b_number": "to",
            },
            "usage": {
                "column": "kind",
                "map": {"call": "voice", "web": "data", "text": "sms"},
            },
            "quantity": {
                "voice": {
                    "column": "amount_used",
                    "unit_column": "unit",
                    "units": {"sec": "s", "min": "min"},
                },
                "data": {"column": "amount_used", "unit": "KiB"},
                "sms": {"unit": "event", "const": 1},
            },
            "money": {"column": "price", "unit": "EUR"},
            "dedupe": {"key": ["record_id"]},
        }
    ],
}


def profile_with(**tables: Any) -> Profile:  # noqa: ANN401 - a piece of a TOML document
    """The carrier's profile with some keys of its layout replaced.

    A table is merged into the one that is there: ``money={"vat": "inc"}``.
    """
    document = copy.deepcopy(DOCUMENT)
    layout = document["layout"][0]
    for key, value in tables.items():
        if isinstance(value, Mapping) and isinstance(layout.get(key), dict):
            layout[key] = {**layout[key], **value}
        else:
            layout[key] = value
    return parse_profile(document, "0" * 64)


def rows(*changes: Mapping[str, str]) -> pl.DataFrame:
    """A TEXT frame: one good row for each argument, with some cells changed."""
    cells = [{**ROW, "id": str(place), **change} for place, change in enumerate(changes)]
    return frame(cells)


def frame(cells: Sequence[Mapping[str, str]], first_line: int = 2) -> pl.DataFrame:
    lines = range(first_line, first_line + len(cells))
    columns: dict[str, list[Any]] = {
        "line_no": list(lines),
        "raw": [";".join(row.values()) for row in cells],
    }
    for name in ROW:
        columns[text_column(name)] = [row[name] for row in cells]
    schema = {"line_no": pl.Int64(), "raw": pl.String()}
    names = {text_column(name): pl.String() for name in ROW}
    return pl.DataFrame(columns, {**schema, **names})


def normalised(
    text: pl.DataFrame, profile: Profile | None = None, name: DeliveryName | None = None
) -> Normalised:
    """Read one chunk of the carrier's layout."""
    profile = profile or profile_with()
    normaliser = Normaliser(profile, profile.layouts[0], name or DeliveryName())
    return normaliser.read(text)
