"""Charges beside usage: read whole, or refused with every fault."""

from datetime import date
from pathlib import Path

import pytest

from etl.charges_file import read_charges_file
from transforms.customer_charges import read_charges
from transforms.errors import ConfigError

ROW = {"customer_id": "7", "kind": "recurring", "name": "Abonnement", "amount": "12.50"}


def test_a_charge_is_read_with_its_validity() -> None:
    rows = [
        ROW,
        {**ROW, "kind": "one_off", "quantity": "2", "valid_from": "2026-10-05"},
        {**ROW, "kind": "discount", "amount": "-0.000001", "valid_to": "2026-11-01"},
    ]
    assert read_charges("c.csv", rows, {7}).rows() == [
        (7, "recurring", "Abonnement", 12_500_000, 1, None, None),
        (7, "one_off", "Abonnement", 12_500_000, 2, date(2026, 10, 5), None),
        (7, "discount", "Abonnement", -1, 1, None, date(2026, 11, 1)),
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"customer_id": "8"}, "line 2 column customer_id: there is no customer 8"),
        ({"customer_id": "0"}, "column customer_id: must be a whole number from 1"),
        ({"kind": "monthly"}, "column kind: must be one of recurring, one_off"),
        ({"kind": "one_off"}, "column valid_from: is when a one_off charge falls"),
        ({"kind": "discount"}, "column amount: of a discount must be below zero"),
        ({"name": ""}, "column name: must be one line"),
        ({"name": "a\nb"}, "column name: must be one line"),
        ({"amount": "12,50"}, "column amount: must be an amount such as 12.50"),
        ({"amount": "1.1234567"}, "column amount: must be an amount"),
        ({"amount": "1e3"}, "column amount: must be an amount"),
        ({"quantity": "1.5"}, "column quantity: must be a whole number"),
        ({"valid_from": "1-10-2026"}, "column valid_from: must be a date"),
        ({"valid_to": "2026-02-30"}, "column valid_to"),
    ],
)
def test_a_charge_that_is_none_is_named(change: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_charges("c.csv", [{**ROW, **change}], {7})
    assert told in str(caught.value)


def test_every_fault_is_in_one_message() -> None:
    rows = [{**ROW, "amount": "x"}] * 22
    with pytest.raises(ConfigError, match="and 2 more") as caught:
        read_charges("c.csv", rows, {7})
    assert str(caught.value).count("column amount") == 20


def test_semicolons_separate_too_and_a_fault_names_the_line_it_stands_on(
    tmp_path: Path,
) -> None:
    file = tmp_path / "c.csv"
    file.write_text(
        'customer_id;kind;name;amount\n7;recurring;"a\nb";1.00\n7;recurring;c\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=r"c\.csv line 4: 3 cells under 4 columns"):
        read_charges_file(file)


def test_a_file_of_charges_is_read_by_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_text(
        "amount,name,kind,customer_id\n1.00,A,recurring,7\n\n", encoding="utf-8"
    )
    assert read_charges_file(file) == [
        {"amount": "1.00", "name": "A", "kind": "recurring", "customer_id": "7"}
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"customer_id,kind,name\n", "column amount is missing"),
        (b"customer_id,kind,name,amont\n", "'amont' is unknown; did you mean amount?"),
        (b"customer_id,kind,name,amount,name\n", "there twice"),
        (b"customer_id,kind,name,amount\n1,2\n", "line 2: 2 cells under 4 columns"),
        (b"customer_id,kind,name,amount\n\xff\n", "no CSV file in UTF-8"),
        (b'customer_id,kind,name,amount\n1,a,"b"c,1\n', "no CSV file"),
        (b"", "column customer_id is missing"),
    ],
)
def test_a_file_that_is_no_list_of_charges_is_refused(
    tmp_path: Path, text: bytes, told: str
) -> None:
    file = tmp_path / "c.csv"
    file.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        read_charges_file(file)
    assert told in str(caught.value)
