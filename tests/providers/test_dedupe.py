"""Records that share a key within one delivery, and the fingerprints that name them."""

import polars as pl
import pytest

from tests.providers.text_frames import normalised, profile_with, rows
from transforms import dedupe
from transforms.dedupe import in_order, keys_of, repeated, settle
from transforms.fingerprint import (
    FEW_TEXTS,
    Hasher,
    fingerprint_of,
    key_texts,
    nth_fingerprints,
)
from transforms.normalise import DeliveryName
from transforms.profile import Dedupe, Profile

CALLS_KEY = "carrier\x1fcalls\x1fkey\x1f"


def fates(
    changes: list[dict[str, str]], profile: Profile, name: DeliveryName | None = None
) -> list[str]:
    """Normalise rows, settle the repeated ones, and give the fate of each row."""
    accepted = normalised(rows(*changes), profile, name).accepted
    keys = keys_of(accepted, 0)
    every = pl.concat([keys.drop("fingerprint"), accepted], how="horizontal")
    again = repeated(accepted["fingerprint"].sort())
    settled = settle(
        every.filter(pl.col("fingerprint").is_in(again.implode())),
        profile.layouts[0].dedupe,
    )
    found = dict(settled.select("row", "fate").iter_rows())
    return [found.get(row, "alone") for row in range(accepted.height)]


A, B, OTHER = {"id": "1"}, {"id": "1", "price": "9,99"}, {"id": "2"}


@pytest.mark.parametrize(
    ("conflict", "changes", "expected"),
    [
        ("quarantine", [A, OTHER], ["alone", "alone"]),
        ("quarantine", [A, A, OTHER, A], ["first", "duplicate", "alone", "duplicate"]),
        ("quarantine", [A, B], ["first", "conflict"]),
        ("quarantine", [A, B, A, B], ["first", "conflict", "duplicate", "conflict"]),
        # The last content holds; its first record goes on.
        ("supersede", [A, A], ["first", "duplicate"]),
        ("supersede", [A, B], ["superseded", "first"]),
        ("supersede", [A, B, B], ["superseded", "first", "duplicate"]),
        ("supersede", [A, B, A], ["first", "superseded", "duplicate"]),
    ],
)
def test_of_records_with_one_key_one_goes_on(
    conflict: str, changes: list[dict[str, str]], expected: list[str]
) -> None:
    profile = profile_with(dedupe={"conflict": conflict})
    assert fates(changes, profile) == expected


def test_a_cell_left_empty_twice_is_equal() -> None:
    empty = {"id": "1", "to": ""}
    assert fates([empty, empty], profile_with()) == ["first", "duplicate"]


def test_where_the_key_counts_occurrences_nothing_is_a_duplicate() -> None:
    key = ["a_number", "start", "occurrence"]
    profile = profile_with(dedupe={"key": key})
    assert fates([A, A, A], profile) == ["first", "first", "first"]


def test_only_records_without_an_id_are_counted_by_a_fallback_that_counts() -> None:
    profile = profile_with(dedupe={"fallback": ["a_number", "start", "occurrence"]})
    no_id = {"id": ""}
    assert fates([A, A, no_id, no_id], profile) == ["first", "duplicate", "first", "first"]


def test_the_nth_equal_record_has_a_fingerprint_of_its_own() -> None:
    base = fingerprint_of("any key")
    found = nth_fingerprints(pl.Series([base] * 3), pl.Series([1, 2, 3])).to_list()
    assert found[0] == base
    assert found[1:] == [fingerprint_of(f"{base}\x1f2"), fingerprint_of(f"{base}\x1f3")]


def test_fingerprints_never_change() -> None:
    texts = ["", "a", "routit\x1fmobile\x1fkey\x1f810000001", "é\x1f\\N"]
    expected = [
        338333539836370388,
        2933798017325973772,
        3758657239165638450,
        7464658990656209469,
    ]
    hasher = Hasher()
    assert hasher.fingerprints(pl.Series(texts)).to_list() == expected
    # Many are hashed in another way than few, and come to the same numbers.
    times = FEW_TEXTS // len(texts) + 1
    assert hasher.fingerprints(pl.Series(texts * times)).to_list() == expected * times
    assert [fingerprint_of(text) for text in texts] == expected


def test_the_fingerprint_of_a_record_can_be_computed_by_anyone() -> None:
    accepted = normalised(rows({"id": "C1"})).accepted
    assert accepted["fingerprint"].to_list() == [fingerprint_of(CALLS_KEY + "C1")]


def test_every_word_of_a_key_is_in_its_text() -> None:
    key = ["account", "a_number", "b_number", "start", "quantity", "price", "usage"]
    profile = profile_with(
        dedupe={"key": [*key, "file_account", "file_period", "file_seq"]}
    )
    accepted = normalised(rows({}), profile, DeliveryName("K", "202610", None))
    assert accepted.rejected["reason_code"].to_list() == ["no_key"]
    named = normalised(rows({}), profile, DeliveryName("K", "202610", "7")).accepted
    words = [
        "A1",
        "+31600000011",
        "+31200000021",
        "1791014400000000",
        "60",
        "100000",
        "voice",
    ]
    text = CALLS_KEY + "\x1f".join([*words, "K", "202610", "7"])
    assert named["fingerprint"].to_list() == [fingerprint_of(text)]


def test_a_record_without_an_id_is_named_by_the_fallback() -> None:
    profile = profile_with(dedupe={"fallback": ["account", "price"]})
    accepted = normalised(rows({"id": "-", "account": ""}), profile).accepted
    assert accepted["flags"].to_list() == ["dedupe_fallback"]
    text = "carrier\x1fcalls\x1ffallback\x1f\\N\x1f100000"
    assert accepted["fingerprint"].to_list() == [fingerprint_of(text)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {"record_id": ["a\x1fb"], "account": ["c"]},
            {"record_id": ["a"], "account": ["b\x1fc"]},
        ),
        ({"record_id": [None], "account": ["c"]}, {"record_id": [""], "account": ["c"]}),
        ({"record_id": [None], "account": ["c"]}, {"record_id": ["\\N"], "account": ["c"]}),
        (
            {"record_id": ["\\u"], "account": ["c"]},
            {"record_id": ["\x1f"], "account": ["c"]},
        ),
    ],
)
def test_no_two_keys_are_written_alike(
    one: dict[str, list[str | None]], other: dict[str, list[str | None]]
) -> None:
    def text(parts: dict[str, list[str | None]]) -> str:
        frame = pl.DataFrame(parts, {"record_id": pl.String(), "account": pl.String()})
        key: str = key_texts(frame, ["record_id", "account"], ("p", "l"), "key").item()
        return key

    assert text(one) != text(other)


def test_the_key_of_another_layout_or_provider_is_another_key() -> None:
    frame = pl.DataFrame({"record_id": ["1"]})
    scopes = [("a", "x"), ("a", "y"), ("b", "x")]
    texts = {key_texts(frame, ["record_id"], scope, "key").item() for scope in scopes}
    assert len(texts) == 3


@pytest.mark.parametrize("part_rows", [1, 2, 3, 1_000_000])
def test_repeated_keys_are_found_across_chunks_and_parts(
    monkeypatch: pytest.MonkeyPatch, part_rows: int
) -> None:
    monkeypatch.setattr(dedupe, "PART_ROWS", part_rows)
    last = 2**63 - 1
    chunks = [[5, 7, last], [7, 11, 0], [], [last, last]]
    found = in_order(lambda: (pl.Series(each, dtype=pl.Int64) for each in chunks), 8)
    assert found.to_list() == [0, 5, 7, 7, 11, last, last, last]
    assert repeated(found).to_list() == [7, last]


def test_nothing_accepted_repeats_nothing() -> None:
    assert in_order(list, 0).to_list() == []
    assert repeated(in_order(list, 0)).to_list() == []


def test_nothing_repeated_needs_no_decision() -> None:
    accepted = normalised(rows({})).accepted
    keys = keys_of(accepted, 0).clear()
    every = pl.concat([keys.drop("fingerprint"), accepted.clear()], how="horizontal")
    assert settle(every, Dedupe(("record_id",))).height == 0
