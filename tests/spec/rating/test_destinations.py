"""Which entry covers which destination."""

import pytest

from tests.spec.rating.sheet import each, price

DECK = [
    {"prefix": "31", "destination": "fixed", "weight": "0"},
    {"prefix": "+316", "destination": "mobile", "weight": "0"},
    {"prefix": "31612", "destination": "cheap", "weight": "0"},
    {"prefix": "31612", "destination": "mobile", "weight": "5"},
    {"prefix": "3162", "destination": "nobody's", "weight": "0"},
    {"prefix": "1", "destination": "USA", "weight": "0"},
    {"prefix": "=112", "destination": "emergency", "weight": "0"},
]

SHEET = """
decks = ["deck.csv"]
[[entry]]
name = "fixed"
usage = "voice"
destinations = ["fixed"]
price = 0
per = "min"
[[entry]]
name = "mobile"
usage = "voice"
destinations = ["mobile"]
price = 0
per = "min"
[[entry]]
name = "America"
usage = "voice"
destinations = ["USA"]
price = 0
per = "min"
[[entry]]
name = "emergency"
usage = "voice"
destinations = ["emergency"]
price = 0
per = "min"
[[entry]]
name = "one number"
usage = "voice"
prefixes = ["=+31612345678", "=voicemail"]
price = 0
per = "min"
{further}
"""

ANYWHERE = """
[[entry]]
name = "anywhere"
usage = "voice"
price = 0
per = "min"
"""


@pytest.mark.parametrize(
    ("destination", "entry"),
    [
        ("+31201234567", "fixed"),
        ("+31612345679", "mobile"),  # longer than 31, and the heavier line of 31612
        ("+31612345678", "one number"),  # the whole number is longer still
        ("+316123456789", "mobile"),  # but only the whole number
        ("31201234567", "fixed"),  # an international number without its plus
        ("0031201234567", "fixed"),
        ("+31623456789", None),  # the deck knows better than 316, and nobody covers it
        ("+3", None),
        ("+31", "fixed"),
        ("+15550100100", "America"),
        ("112", "emergency"),
        ("1122", None),
        ("1888", None),  # a short code is no number of the United States
        ("voicemail", "one number"),
        ("voicemail2", None),
        ("31612345XXX", None),  # masked, so not known to be a number
        ("+31612345XXX", "mobile"),
    ],
)
def test_the_longest_prefix_covers_a_destination(
    destination: str, entry: str | None
) -> None:
    files = {"deck.csv": DECK}
    event = f"2026-10-05T09:00 voice {destination} 60"

    alone = price(SHEET.format(further=""), event, files=files)
    with_default = price(SHEET.format(further=ANYWHERE), event, files=files)

    assert each(alone, "entry") == [entry]
    assert each(with_default, "entry") == [entry or "anywhere"]


def test_a_call_without_a_destination_is_covered_by_what_covers_all() -> None:
    document = price(ANYWHERE, "2026-10-05T09:00 voice - 60")
    assert each(document, "entry") == ["anywhere"]


def test_the_heavier_of_two_entries_has_what_both_claim() -> None:
    sheet = """
    [[entry]]
    name = "light"
    usage = "voice"
    prefixes = ["31", "32"]
    price = 0
    per = "min"
    [[entry]]
    name = "heavy"
    usage = "voice"
    prefixes = ["31"]
    weight = 1
    price = 0
    per = "min"
    """
    document = price(
        sheet, "2026-10-05T09:00 voice +31201234567 60", "2026-10-05T09:00 voice +3222 60"
    )
    assert each(document, "entry") == ["heavy", "light"]


def test_a_whole_number_goes_before_the_prefix_that_it_is() -> None:
    one = (
        '[[entry]]\nname = "one"\nusage = "sms"\nprefixes = ["=+31612345678"]\nprice = 1\n'
    )
    all_ = '[[entry]]\nname = "all"\nusage = "sms"\nprefixes = ["31612345678"]\nprice = 2\n'
    events = (
        "2026-10-05T09:00 sms +31612345678 1",
        "2026-10-05T09:00 sms +316123456789 1",
    )
    assert each(price(one + all_, *events), "entry") == ["one", "all"]
    assert each(price(all_ + one, *events), "entry") == ["one", "all"]


ZONES = """
[zones]
eu = ["EU", "BE"]
world = ["US"]
[[entry]]
name = "messages"
usage = "sms"
price = 0
[[entry]]
name = "messages abroad"
usage = "sms"
zones = ["eu", "world"]
price = 0
[[entry]]
name = "to Holland, anywhere"
usage = "voice"
prefixes = ["31"]
price = 0
per = "min"
[[entry]]
name = "in the world"
usage = "voice"
zones = ["world"]
direction = "any"
price = 0
per = "min"
"""


@pytest.mark.parametrize(
    ("event", "entry", "code"),
    [
        ("sms +31612345678 1", "messages", None),
        ("sms +31612345678 1 zone=EU", "messages abroad", None),
        ("sms +31612345678 1 zone=BE", "messages abroad", None),
        ("sms +31612345678 1 zone=MARS", None, "zone_unknown"),
        ("voice +31612345678 1 zone=EU", "to Holland, anywhere", None),
        ("voice +31612345678 1 zone=US", "in the world", None),  # zones go before prefixes
        ("voice +31612345678 1 zone=US direction=in", "in the world", None),
        ("voice +31612345678 1 direction=in", None, "no_entry"),
        ("data internet 1", None, "no_entry"),
    ],
)
def test_an_entry_for_the_zone_goes_before_one_for_any_zone(
    event: str, entry: str | None, code: str | None
) -> None:
    document = price(ZONES, f"2026-10-05T09:00 {event}")
    assert (each(document, "entry"), each(document, "unrated_code")) == ([entry], [code])


def test_a_reason_names_no_number() -> None:
    document = price(ZONES, "2026-10-05T09:00 data +31612345678 1 zone=EU")
    assert each(document, "unrated_reason") == [
        "no entry of plan sheet covers data out, zone eu to this destination"
    ]
