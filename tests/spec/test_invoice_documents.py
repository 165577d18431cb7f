"""Invoices as files: readable, escaped, safe in a spreadsheet, and the same every time."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from etl import failpoints
from etl.documents import pdf
from etl.documents.calls import Found
from etl.documents.calls_json import calls_document
from etl.documents.html import html_document
from etl.documents.pdf import pdf_document
from etl.documents.specification import Role, csv_cell, shown_number, specification
from etl.documents.view import WORDS, view_of
from etl.documents.writing import (
    FORMATS,
    SPECIFICATIONS,
    DocumentFolder,
    usual_formats,
)
from tests.invoice_examples import ABROAD, EXAMPLES, changed, invoice, usage
from transforms.errors import ConfigError, StorageError
from transforms.invoice import Invoice
from transforms.invoice_calls import CALLS, Itemised, line_sums
from transforms.invoice_texts import data_text, duration_text, exact_money, money
from transforms.invoicing import Terms, Usage, invoice_amounts

every_kind = pytest.mark.parametrize("name", EXAMPLES)


class Page(HTMLParser):
    """The visible words of a page, and the elements it is made of."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[str] = []
        self.links: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.links += [name for name, _ in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self.elements[-1:] != ["style"] and data.strip():
            self.words.append(data.strip())


# --- the page -----------------------------------------------------------------------------


def test_a_page_says_who_what_when_and_how_much() -> None:
    words = Page(html_document(EXAMPLES["invoice"])).words
    for expected in (
        "Factuur",
        "F2026-000001",
        "Voorbeeld Telecom BV",
        "Klant & Zonen BV",
        "T.a.v. mevrouw J. de Vries",
        "2 november 2026",
        "2 december 2026",
        "1 t/m 31 oktober 2026",
        "Bellen",
        "1.234",
        "1:01:01",
        "€ 2,47",
        "Sms, EU",
        "€ -5,00",
        "Afronding",
        "€ 21,96",
        "Btw 21% over 21,96",
        "€ 4,61",
        "Te betalen",
        "€ 26,57",
        "NL001234567B01",
    ):
        assert any(expected in each for each in words), expected


def test_a_credit_note_says_what_it_takes_back() -> None:
    words = Page(html_document(EXAMPLES["credit"])).words
    for expected in (
        "Creditnota",
        "F2026-000001, F2026-000002",
        "verkeerd adres",
        "U ontvangt terug",
        "€ 26,57",
    ):
        assert expected in words, expected


def test_reverse_charge_is_said_with_the_customers_vat_number() -> None:
    words = Page(html_document(EXAMPLES["reverse charge"])).words
    assert "Btw verlegd" in words
    assert "Btw-nummer DE123456789" in words


def test_a_page_speaks_english_to_who_asks_for_it() -> None:
    english = invoice(FULL_ENGLISH, terms=Terms(language="en"))
    words = Page(html_document(english)).words
    assert "Invoice" in words
    assert "Calls" in words
    assert "€ 1,234.50" in words
    assert "1 to 31 October 2026" in words


FULL_ENGLISH = invoice_amounts([usage(1_234_500_000)], [], Terms(language="en"))


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}{% include 'x' %}",
    "=HYPERLINK(1)",
    "../../etc/passwd",
    "\\input{x}",
    "a\u202eb\u2028c",
    "x" * 255,
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_a_customer_is_called_the_page_stays_the_same_page(hostile: str) -> None:
    usual = Page(html_document(EXAMPLES["invoice"]))
    page = Page(html_document(changed(EXAMPLES["invoice"], name=hostile, city=hostile)))
    assert page.elements == usual.elements
    assert hostile in page.words
    assert page.links == []


def test_a_page_loads_nothing_from_anywhere() -> None:
    page = html_document(EXAMPLES["invoice"]).decode()
    assert not re.search(r"https?://|@import|url\(|<script|<link|<iframe", page)


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["nl"].keys() == WORDS["en"].keys()


def test_figures_are_written_as_the_language_does() -> None:
    assert money(123_456_789, "EUR", "nl") == "€ 1.234.567,89"
    assert money(-5, "EUR", "nl") == "€ -0,05"
    assert money(100, "CHF", "en") == "CHF 1.00"
    assert exact_money(1_234_500_000, "EUR", "nl") == "€ 1.234,50"
    assert exact_money(-40_500, "EUR", "en") == "€ -0.0405"
    assert duration_text(36_061) == "10:01:01"
    assert data_text(999, "nl") == "999 B"
    assert data_text(1_500_000, "nl") == "1,50 MB"
    assert data_text(-1_234_567_890, "en") == "-1.23 GB"


def test_a_rounding_of_less_than_a_cent_is_not_printed() -> None:
    part_of_a_cent = invoice(invoice_amounts([usage(2_466_600)], [], Terms()))
    assert [line.name for line in view_of(part_of_a_cent).lines] == ["Bellen"]


# --- PDF ----------------------------------------------------------------------------------


@every_kind
def test_a_pdf_is_the_same_bytes_every_time(name: str) -> None:
    first = pdf_document(EXAMPLES[name])
    assert first.startswith(b"%PDF-1.")
    assert first.rstrip().endswith(b"%%EOF")
    assert pdf_document(EXAMPLES[name]) == first


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_a_customer_is_called_a_pdf_can_be_made(hostile: str) -> None:
    assert pdf_document(changed(EXAMPLES["invoice"], name=hostile)).startswith(b"%PDF")


def test_a_long_invoice_has_as_many_pages_as_it_needs() -> None:
    zones = [usage(10_000, zone=f"Zone {number}") for number in range(200)]
    document = pdf_document(invoice(invoice_amounts(zones, [], Terms())))
    assert len(re.findall(rb"/Type /Page\b", document)) > 3


def test_without_the_extra_a_pdf_is_refused_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pdf, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"cdr-etl\[pdf\]"):
        pdf_document(EXAMPLES["invoice"])


# --- the specification --------------------------------------------------------------------


def call(**cells: object) -> dict[str, Any]:
    return {
        "customer_id": 7,
        "cycle_start_date": date(2026, 10, 1),
        "call_date": datetime(2026, 10, 5, 9, 30),  # noqa: DTZ001 - a wall clock
        "usage_type": "voice",
        "direction": "out",
        "subscriber": "+31600000001",
        "other": "+31201234567",
        "zone": None,
        "duration_s": 61,
        "volume_bytes": None,
        "events": None,
        "quantity": 61,
        "in_allowance": 0,
        "allowance_micros": 0,
        "amount_micros": 40_500,
        **cells,
    }


def itemised(*calls: dict[str, Any]) -> Itemised:
    frame = pl.DataFrame(calls, CALLS)
    return Itemised(frame, line_sums(frame).get((7, date(2026, 10, 1)), {}))


def written(
    *calls: dict[str, Any], role: Role = "customer", example: Invoice = EXAMPLES["invoice"]
) -> bytes:
    return b"".join(specification(example, itemised(*calls), role))


def said(*calls: dict[str, Any], role: Role = "customer") -> dict[str, Any]:
    blocks = calls_document(EXAMPLES["invoice"], itemised(*calls), role)
    document: dict[str, Any] = json.loads(b"".join(blocks))
    return document


USED = invoice(
    invoice_amounts(
        [
            Usage("voice", "", 2, 122, 0, 0, 40_500),
            Usage("cycle_volume", "data", 0, 0, 0, 0, 1_200_000),
            Usage("cycle_minimum", "", 0, 0, 0, 0, 3_759_500),
        ],
        [],
        Terms(),
    )
)
"""An invoice under a rate plan: two calls, a volume, and an addition to the minimum."""


def rows(text: bytes) -> list[list[str]]:
    file = io.StringIO(text.decode("utf-8-sig"), newline="")
    return list(csv.reader(file, delimiter=";", strict=True))


def test_a_specification_opens_in_a_dutch_excel() -> None:
    text = written(call(), call(amount_micros=None))
    assert text.startswith(b"\xef\xbb\xbf")
    assert text.count(b"\r\n") == text.count(b"\n") == 13
    assert rows(text) == [
        ["factuur", "F2026-000001"],
        ["periode", "2026-10-01", "2026-10-31"],
        [
            *("datum", "tijd", "soort", "richting", "nummer", "ander nummer"),
            *("zone", "duur", "bytes", "aantal", "bedrag", "bundel"),
        ],
        [
            *("2026-10-05", "09:30:00", "Bellen", "uitgaand"),
            *("00 31600000001", "00 31201234xxx", "", "61", "", "", "0,040500", ""),
        ],
        [
            *("2026-10-05", "09:30:00", "Bellen", "uitgaand"),
            *("00 31600000001", "00 31201234xxx", "", "61", "", "", "geen prijs", ""),
        ],
        ["totaal", "2 regels", "0,040500"],
        ["gefactureerd", "", "1,958600"],
        ["verschil", "Correctie", "0,550000"],
        ["verschil", "Data", "-0,014000"],
        ["verschil", "Sms, EU", "-0,014000"],
        ["verschil", "Sms, US", "-0,014000"],
        ["verschil", "Bellen", "-2,426100"],
        ["de gegevens zijn veranderd sinds de factuur; de factuur blijft gelden"],
    ]


def test_calls_and_what_the_plan_charges_for_the_cycle_make_the_invoice() -> None:
    covered = call(amount_micros=0, in_allowance=61)
    text = rows(written(covered, call(in_allowance=30), example=USED))
    assert [line[-2:] for line in text[3:5]] == [
        ["0,000000", "in bundel"],
        ["0,040500", "deels in bundel"],
    ]
    assert text[5:] == [
        ["totaal", "2 regels", "0,040500"],
        ["Volume, data", "", "1,200000"],
        ["Aanvulling tot het minimum", "", "3,759500"],
        ["gefactureerd", "", "5,000000"],
    ]


def test_a_call_that_credit_pays_for_is_in_the_bundle() -> None:
    text = rows(
        written(
            call(amount_micros=0, allowance_micros=40_500),
            call(amount_micros=40_500, allowance_micros=10_000),
            call(amount_micros=0),
            example=USED,
        )
    )
    assert [line[-1] for line in text[3:6]] == ["in bundel", "deels in bundel", ""]


def test_calls_whose_plan_is_not_kept_have_no_amounts_and_it_is_said() -> None:
    lost = replace(itemised(call(amount_micros=None)), is_priced=False)
    text = rows(b"".join(specification(USED, lost, "customer")))
    assert text[3][-2:] == ["", ""]
    assert text[4:] == [
        ["totaal", "1 regels"],
        [
            "het tariefplan van deze factuur is niet bewaard; bedragen per gesprek "
            "ontbreken en de factuur blijft gelden"
        ],
    ]
    document = json.loads(b"".join(calls_document(USED, lost, "customer")))
    assert document["calls"][0]["amount_micros"] is None
    assert document["is_priced"] is False
    assert "differences" not in document


def test_a_cell_is_written_as_a_line_of_single_calls_would_be() -> None:
    hostile = ["=1+1", "a;b", 'say "x"', "＝1", "12", "-1", "", "x\ny"]
    text = written(*(call(other=each, zone=each) for each in hostile), role="billing")
    for each, line in zip(hostile, text.splitlines(keepends=True)[3:], strict=False):
        cells = line.decode().split(";")
        assert line.decode().count(csv_cell(each)) >= 2, each
        assert cells[0] == '"2026-10-05"'


def test_json_says_of_each_call_what_the_specification_says() -> None:
    document = said(call(), call(amount_micros=0, in_allowance=61, zone='"EU"'))
    assert document["invoice_number"] == "F2026-000001"
    assert document["calls"] == [
        {
            "call_date": "2026-10-05T09:30:00",
            "usage_type": "voice",
            "direction": "out",
            "subscriber": "+31600000001",
            "other": "+31201234xxx",
            "zone": None,
            "duration_s": 61,
            "volume_bytes": None,
            "events": None,
            "amount_micros": 40_500,
            "bundle": "none",
            "in_allowance": 0,
            "allowance_micros": 0,
        },
        {
            "call_date": "2026-10-05T09:30:00",
            "usage_type": "voice",
            "direction": "out",
            "subscriber": "+31600000001",
            "other": "+31201234xxx",
            "zone": '"EU"',
            "duration_s": 61,
            "volume_bytes": None,
            "events": None,
            "amount_micros": 0,
            "bundle": "whole",
            "in_allowance": 61,
            "allowance_micros": 0,
        },
    ]
    assert (document["count"], document["calls_micros"]) == (2, 40_500)
    assert document["invoiced_micros"] == 1_958_600
    assert document["differences"][-1] == {
        "usage_type": "voice",
        "zone": "",
        "invoiced_micros": 2_466_600,
        "calls_micros": 40_500,
    }
    assert said()["calls"] == []
    assert said(call(), role="support")["calls"][0]["subscriber"] == "+31600000xxx"


def test_a_long_specification_is_written_in_blocks_that_join(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = [call(duration_s=each) for each in range(7)]
    whole, document = written(*calls), said(*calls)
    monkeypatch.setattr("etl.documents.specification.BLOCK_ROWS", 3)
    monkeypatch.setattr("etl.documents.calls_json.BLOCK_ROWS", 3)
    assert written(*calls) == whole
    assert said(*calls) == document
    assert [each["duration_s"] for each in document["calls"]] == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("number", "role", "own", "other"),
    [
        ("+31612345678", "customer", "00 31612345678", "00 31612345xxx"),
        ("+31612345678", "billing", "00 31612345678", "00 31612345678"),
        ("+31612345678", "support", "00 31612345xxx", "00 31612345xxx"),
        ("1888", "support", "1888", "1888"),
        ("internet.provider", "customer", "internet.provider", "internet.provider"),
        ("0612345XXX", "customer", "0612345XXX", "0612345xxx"),
    ],
)
def test_a_role_sees_as_much_of_a_number_as_it_may(
    number: str, role: str, own: str, other: str
) -> None:
    assert shown_number(number, role, is_own=True) == own  # type: ignore[arg-type]  # a role
    assert shown_number(number, role, is_own=False) == other  # type: ignore[arg-type]  # a role


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\0=1", " =1", "  =1",
        '"=1', "'=1", "=cmd|' /C calc'!A0", "|calc", "＝1", "＋1", "－1", "＠1", "\u00a0=1",
        "-", "+", "=", "-2-3", "+31612345678", "\u2028=1", "-1;2",
    ],
)  # fmt: skip
def test_no_cell_becomes_a_formula(cell: str) -> None:
    line = csv_cell(cell)
    read = next(csv.reader(io.StringIO(line, newline=""), delimiter=";", strict=True))
    assert len(read) == 1
    assert read[0].startswith("'")
    assert not re.search(r"[\r\n\t\0]", line)


@pytest.mark.parametrize("cell", ["0", "-12", "1,5", "-0,040500", "1234567890123"])
def test_a_number_stays_a_number(cell: str) -> None:
    assert csv_cell(cell) == f'"{cell}"'


@pytest.mark.parametrize("cell", ["a;b", 'say "x"', "a;=1", "", "naïve é €"])
def test_any_other_cell_is_read_back_as_it_was(cell: str) -> None:
    read = list(csv.reader(io.StringIO(csv_cell(cell)), delimiter=";", strict=True))
    assert read == [[cell]]


# --- files --------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> DocumentFolder:
    def calls(invoices: Sequence[Invoice]) -> dict[str, Found]:
        return {
            each.number: itemised(call())
            for each in invoices
            if each.draft.kind == "invoice"
        }

    return DocumentFolder(tmp_path, calls)


def names(tmp_path: Path) -> list[str]:
    return sorted(
        path.name for path in (tmp_path / "invoices").rglob("*") if path.is_file()
    )


def test_an_invoice_is_written_under_its_own_number(
    folder: DocumentFolder, tmp_path: Path
) -> None:
    done = folder.write(changed(EXAMPLES["invoice"], name="../../x"), FORMATS)
    assert done.missing == {}
    assert names(tmp_path) == [f"F2026-000001.{each}" for each in sorted(FORMATS)]
    assert {path.parent for path in done.files} == {tmp_path / "invoices" / "2026"}
    modes = {path.stat().st_mode & 0o777 for path in done.files}
    assert modes == {0o600}


def test_writing_again_gives_the_same_bytes(folder: DocumentFolder) -> None:
    first = {
        path: path.read_bytes() for path in folder.write(EXAMPLES["invoice"], FORMATS).files
    }
    again = folder.write(EXAMPLES["invoice"], FORMATS).files
    assert {path: path.read_bytes() for path in again} == first


def test_a_correction_has_no_specification_of_its_own(
    folder: DocumentFolder, tmp_path: Path
) -> None:
    folder.write(EXAMPLES["credit"], FORMATS)
    assert names(tmp_path) == [
        f"F2026-000001.{each}" for each in ("html", "json", "pdf", "xml")
    ]


def test_what_cannot_be_written_is_said_and_the_rest_is_written(
    folder: DocumentFolder, tmp_path: Path
) -> None:
    done = folder.write(changed(EXAMPLES["invoice"], kvk=""), ("html", "xml", "json"))
    assert list(done.missing) == ["xml"]
    assert "electronic address" in done.missing["xml"]
    assert names(tmp_path) == ["F2026-000001.html", "F2026-000001.json"]


@pytest.mark.parametrize("action", ["enospc", "raise"])
def test_a_writer_that_dies_leaves_the_file_that_was_there(
    folder: DocumentFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
) -> None:
    (path,) = folder.write(EXAMPLES["invoice"], ("html",)).files
    before = path.read_bytes()
    plan = failpoints.fault_plan(f"document_before_rename:{action}")
    monkeypatch.setattr(failpoints, "_PLAN", plan)
    fault = StorageError if action == "enospc" else failpoints.FaultInjectedError
    with pytest.raises(fault):
        folder.write(changed(EXAMPLES["invoice"], name="Ander"), ("html",))
    assert path.read_bytes() == before
    assert names(tmp_path) == ["F2026-000001.html"]


def test_a_specification_whose_records_are_gone_is_named_as_missing(tmp_path: Path) -> None:
    folder = DocumentFolder(tmp_path, lambda _invoices: {"F2026-000001": "they are gone"})
    done = folder.write(EXAMPLES["invoice"], ("html", "csv", "calls.json"))
    assert done.missing == {"csv": "they are gone", "calls.json": "they are gone"}
    assert names(tmp_path) == ["F2026-000001.html"]


def test_a_specification_that_breaks_off_leaves_no_file(
    folder: DocumentFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Iterator[bytes]:
        yield b"half"
        raise OSError(5, "Input/output error")

    monkeypatch.setitem(SPECIFICATIONS, "csv", broken)
    with pytest.raises(StorageError, match="etl invoice:documents F2026-000001"):
        folder.write(EXAMPLES["invoice"], ("csv",))
    assert names(tmp_path) == []


def test_calls_are_read_for_many_invoices_at_a_time_and_each_cycle_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def calls(invoices: Sequence[Invoice]) -> dict[str, Found]:
        asked.append([each.number for each in invoices])
        return {}

    monkeypatch.setattr("etl.documents.calls.INVOICES_A_BATCH", 2)
    amounts = EXAMPLES["invoice"].draft.amounts
    own = [EXAMPLES["invoice"], invoice(amounts, customer=ABROAD, number=2)]
    anew = invoice(amounts, number=3)
    later = [
        invoice(amounts, customer={**ABROAD, "customer_id": f"{n}"}, number=n)
        for n in (9, 10)
    ]
    DocumentFolder(tmp_path, calls).write_all([*own, anew, *later], ("csv",))
    assert asked == [
        ["F2026-000001", "F2026-000002"],
        ["F2026-000003", "F2026-000009"],
        ["F2026-000010"],
    ]
    asked.clear()
    DocumentFolder(tmp_path, calls).write_all([own[0], anew], ("csv",))
    assert asked == [["F2026-000001"], ["F2026-000003"]]
    asked.clear()
    DocumentFolder(tmp_path, calls).write_all(own, ("html",))
    assert asked == []


def test_json_says_everything_that_is_stored(folder: DocumentFolder) -> None:
    (path,) = folder.write(EXAMPLES["invoice"], ("json",)).files
    said = json.loads(path.read_text(encoding="utf-8"))
    assert said["invoice_number"] == "F2026-000001"
    assert said["usage_micros"] == 1_958_600
    assert said["net_cents"] == sum(line["amount_cents"] for line in said["lines"]) == 2196
    assert said["content_sha256"] == EXAMPLES["invoice"].content_sha256
    assert list(said["customer"]) == sorted(said["customer"])


def test_pdf_is_usual_only_where_its_extra_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usual_formats() == FORMATS
    monkeypatch.setattr(pdf, "find_spec", lambda _name: None)
    assert usual_formats() == ("json", "html", "csv", "calls.json", "xml")
