"""Profiles: checked whole before use, every fault in one message with its path."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etl.profiles import available_profiles, load_profile, load_profile_file
from tests.providers.text_frames import DOCUMENT
from transforms.errors import ConfigError
from transforms.profile import Span, source_columns
from transforms.profile_reading import parse_profile

Document = dict[str, Any]
Change = Callable[[Document, Document], object]


def faults(change: Change) -> str:
    """What is said of the test carrier's profile after a change of it."""
    document = copy.deepcopy(DOCUMENT)
    change(document, document["layout"][0])
    with pytest.raises(ConfigError) as caught:
        parse_profile(document, "")
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        # Missing keys.
        (lambda top, _: top.pop("schema"), "schema: missing"),
        (lambda top, _: top.pop("id"), "id: missing"),
        (lambda top, _: top.pop("status"), "status: missing"),
        (lambda top, _: top.pop("source"), "source.kind: missing"),
        (lambda top, _: top["source"].pop("file_glob"), "source.file_glob: missing"),
        (lambda top, _: top.pop("layout"), "layout: missing"),
        (lambda _, lay: lay.pop("name"), "layout[1].name: missing"),
        (lambda _, lay: lay.pop("encoding"), "layout[calls].encoding: missing"),
        (lambda _, lay: lay.pop("time"), "layout[calls].time.columns: missing"),
        (lambda _, lay: lay["time"].pop("format"), "layout[calls].time.format: missing"),
        (lambda _, lay: lay["time"].pop("timezone"), "time.timezone: missing"),
        (lambda _, lay: lay["columns"].pop("a_number"), "columns.a_number: missing"),
        (lambda _, lay: lay.pop("usage"), "layout[calls].usage: missing"),
        (lambda _, lay: lay["quantity"].pop("data"), "quantity.data: missing"),
        (lambda _, lay: lay["money"].pop("column"), "money.column: missing"),
        (lambda _, lay: lay["money"].pop("unit"), "layout[calls].money.unit: missing"),
        (lambda _, lay: lay["dedupe"].pop("key"), "dedupe.key: missing"),
        # Unknown keys, with the nearest known one.
        (lambda top, _: top.update(versoin="1"), "versoin: unknown key (did you mean 'ver"),
        (
            lambda _, lay: lay.update(delimeter=";"),
            "unknown key (did you mean 'delimiter'?)",
        ),
        (
            lambda _, lay: lay["money"].update(vat_rat="21"),
            "layout[calls].money.vat_rat: unknown key (did you mean 'vat_rate'?)",
        ),
        (
            lambda _, lay: lay["columns"].update(record_di="id"),
            "columns.record_di: unknown key (did you mean 'record_id'?)",
        ),
        (
            lambda _, lay: lay["quantity"].update(vioce={}),
            "quantity.vioce: unknown key (did you mean 'voice'?)",
        ),
        (
            lambda top, _: top["source"].update(poll={"wait": 1}),
            "source.poll.wait: unknown",
        ),
        # Wrong kinds and values; the possible ones are listed.
        (lambda top, _: top.update(schema="cdr-profile/2"), "must be 'cdr-profile/1'"),
        (lambda top, _: top.update(id="A Carrier"), "id: must be small letters"),
        (
            lambda top, _: top.update(status="guess"),
            "status: must be one of 'assumed', 'partial', 'verified', not 'guess'",
        ),
        (lambda top, _: top.update(version=1), "version: must be text, not 1"),
        (
            lambda top, _: top["source"].update(max_members="many"),
            "source.max_members: must be a whole number, not 'many'",
        ),
        (lambda _, lay: lay.update(max_bad_pct=101), "max_bad_pct: must be 0 to 100"),
        (lambda _, lay: lay.update(header="yes"), "header: must be true or false"),
        (lambda _, lay: lay.update(encoding="utf-9"), "unknown encoding 'utf-9'"),
        (lambda _, lay: lay.update(encoding="hex"), "unknown encoding 'hex'"),
        (lambda _, lay: lay.update(delimiter=";;"), "delimiter: must be one character"),
        (lambda _, lay: lay.update(quote=","), "quote: must differ from delimiter"),
        (lambda _, lay: lay["locale"].update(thousands=","), "must differ from decimal"),
        (lambda _, lay: lay["locale"].update(decimal="0"), "must be a separator"),
        (lambda _, lay: lay["locale"].update(negative=["minus"]), "'trail', 'parens', not"),
        (lambda _, lay: lay["locale"].update(strip=["1"]), "must not be empty or hold dig"),
        (
            lambda _, lay: lay["time"].update(timezone="Europe/Amsterdm"),
            "time.timezone: unknown time zone 'Europe/Amsterdm'",
        ),
        (lambda _, lay: lay["time"].update(format="%d-%m %T"), "unknown directive %T"),
        (lambda _, lay: lay["time"].update(date_only_format="%d-%m-%Y %H"), "a date only"),
        (lambda _, lay: lay["time"].update(ambiguous="third"), "'file_order', not 'third'"),
        (lambda _, lay: lay["time"].update(format="epoch_s"), "epoch_s takes one column"),
        (lambda _, lay: lay["numbers"].update(mask_regex="(?<=x)"), "without look-around"),
        (lambda _, lay: lay["numbers"].update(region="BE"), "region: must be one of 'NL'"),
        (lambda _, lay: lay["numbers"].update(bare="maybe"), "'reject', not 'maybe'"),
        (
            lambda _, lay: lay["usage"]["map"].update(call="talk"),
            "usage.map.call: must be one of 'voice', 'sms'",
        ),
        (
            lambda _, lay: lay["usage"].update(const="voice"),
            "const: is for a layout without",
        ),
        (lambda _, lay: lay.update(direction={"column": "way"}), "direction.map: missing"),
        (
            lambda _, lay: lay["quantity"]["data"].update(unit="KB"),
            "quantity.data.unit: must be one of 'B', 'kB', 'KiB'",
        ),
        (lambda _, lay: lay["quantity"]["sms"].update(column="x"), "exactly one of column"),
        (lambda _, lay: lay["quantity"]["voice"].pop("units"), "voice.units: missing"),
        (
            lambda _, lay: lay["quantity"].update(voice={"from": "end_minus_start"}),
            "time.end_columns: missing: quantity.voice counts to the end",
        ),
        (
            lambda _, lay: lay["money"].update(unit="USD"),
            "money.unit: must be 'EUR', 'cent' or '1e-NEUR' (N 0 to 12), not 'USD'",
        ),
        (lambda _, lay: lay["money"].update(currency="euro"), "three capital letters"),
        (lambda _, lay: lay["money"].update(vat="inc"), "vat_rate: missing: vat = 'inc'"),
        (lambda _, lay: lay["money"].update(vat_rate="21%"), "must be a percentage"),
        (lambda _, lay: lay["dedupe"].update(key=["id"]), "key: unknown word 'id'"),
        (
            lambda _, lay: lay["dedupe"].update(key=["occurrence"]),
            "a word beside occurrence",
        ),
        (
            lambda _, lay: lay["dedupe"].update(key=["invoice_no"]),
            "invoice_no is not mapped",
        ),
        # What one key promises about another.
        (lambda _, lay: lay.update(header_match="exact"), "header_names: missing"),
        (
            lambda _, lay: lay.update(header_match="exact", header_names=["from", "from"]),
            "columns.record_id: unknown column 'id'",
        ),
        (lambda _, lay: lay.update(party={"mode": "b_a"}), "'own_other', 'a_b', not 'b_a'"),
        (lambda _, lay: lay.update(reject_if_utf8=True), "is for single-byte encodings"),
        (lambda _, lay: lay.update(encoding="cp1252", bom="require"), "no byte order mark"),
        (lambda _, lay: lay.update(control={"kind": "total_row"}), "detect: missing"),
        (lambda _, lay: lay.update(control={"kind": "sidecar"}), "suffix: missing"),
        (lambda _, lay: lay.update(control={"kind": "trailer"}), "proves nothing"),
        (
            lambda _, lay: lay.update(partial={"states": {"F": "first"}}),
            "'part_state' is not",
        ),
        (
            lambda _, lay: lay.update(correction={"detect": "credit"}),
            "'credit' is not mapped",
        ),
        (lambda _, lay: lay.update(skip_rows=[{"column": "id"}]), "exactly one of equals"),
        (
            lambda _, lay: lay["columns"].update(zone=[1, 2]),
            "must be a column name: places",
        ),
        (lambda _, lay: lay.update(type="fixed"), "record_length: missing"),
    ],
)
def test_a_fault_is_named_with_its_path(change: Change, fault: str) -> None:
    assert fault in faults(change)


def test_every_fault_is_in_one_message() -> None:
    def change(top: Document, layout: Document) -> None:
        top["source"]["kind"] = "ftp"
        layout["time"]["timezone"] = "Mars/Olympus"
        layout["money"].pop("unit")
        layout["zzz"] = "blue"

    assert faults(change) == (
        "profile 'carrier' has 4 faults: "
        "source.kind: must be one of 'file', 'zip', not 'ftp'; "
        "layout[calls].time.timezone: unknown time zone 'Mars/Olympus'; "
        "layout[calls].money.unit: missing; "
        "layout[calls].zzz: unknown key"
    )


def test_a_word_of_the_file_name_needs_its_group() -> None:
    def change(top: Document, layout: Document) -> None:
        top["source"]["filename_regex"] = r"(?P<account>\d+)\.csv"
        layout["dedupe"]["key"] = ["file_seq", "record_id"]

    assert "dedupe.key: file_seq: filename_regex has no group 'seq'" in faults(change)


def test_a_fixed_field_must_lie_inside_its_record() -> None:
    def change(_: Document, layout: Document) -> None:
        layout.update(type="fixed", record_length=10, fields={"id": [9, 3], "from": [1, 8]})

    message = faults(change)
    assert "layout[calls].fields.id: ends at 11, record_length is 10" in message
    assert "layout[calls].time.columns: unknown field 'day'" in message


def test_a_trailer_may_name_the_columns_of_its_proofs() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["layout"][0]["control"] = {
        "kind": "trailer",
        "detect": {"column": "kind", "equals": "end"},
        "count": {"column": "id"},
        "amount": "price",
    }
    control = parse_profile(document, "").layouts[0].control
    assert (control.count, control.amount) == ("id", "price")


def test_a_place_in_a_fixed_record_needs_no_name() -> None:
    profile = load_profile("kpn_sp16")
    assert profile.layouts[0].control.count == Span(3, 8)
    assert Span(3, 8) in source_columns(profile.layouts[0])


def test_the_shipped_profiles_are_without_fault() -> None:
    assert available_profiles() == [
        "kpn_een",
        "kpn_sp16",
        "routit",
        "tmobile_calvi",
        "vodafone_nl",
        "yielder",
    ]
    assert [load_profile(name).id for name in available_profiles()] == available_profiles()


def test_an_unknown_provider_gets_the_nearest_known_one() -> None:
    with pytest.raises(
        ConfigError, match=r"no provider 'routti' \(did you mean 'routit'\?"
    ):
        load_profile("routti")


def test_the_model_of_the_schema_is_no_provider() -> None:
    with pytest.raises(ConfigError, match="there is no provider '_model'"):
        load_profile("_model")


def test_a_carrier_is_added_by_a_file_in_a_folder_of_ones_own(tmp_path: Path) -> None:
    shipped = Path(__file__).resolve().parents[2] / "etl" / "providers" / "yielder.toml"
    text = shipped.read_text(encoding="utf-8")
    own = tmp_path / "newcarrier.toml"
    own.write_text(text.replace('id = "yielder"', 'id = "newcarrier"'), encoding="utf-8")
    assert load_profile("newcarrier", folders=[tmp_path]).provider == "Yielder"
    assert "newcarrier" in available_profiles([tmp_path])


def test_ones_own_profile_goes_before_a_shipped_one(tmp_path: Path) -> None:
    shipped = Path(__file__).resolve().parents[2] / "etl" / "providers" / "yielder.toml"
    text = shipped.read_text(encoding="utf-8").replace('version = "0.1"', 'version = "9"')
    (tmp_path / "yielder.toml").write_text(text, encoding="utf-8")
    assert load_profile("yielder", folders=[tmp_path]).version == "9"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", b"id = ", "is no TOML"),
        ("a.toml", b"id = '\xff'", "is no TOML"),
        ("gone.toml", None, "cannot be read"),
    ],
)
def test_a_profile_that_is_no_profile_is_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_profile_file(path)
