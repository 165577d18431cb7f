"""A plan is checked whole: every fault in one message, with its place and a hint."""

import re

import pytest

from tests.spec.rating.sheet import plan
from transforms.errors import ConfigError

CALLS = '[[entry]]\nname = "calls"\nusage = "voice"\nprice = "0.10"\nper = "min"\n'
DATA = '[[entry]]\nname = "data"\nusage = "data"\ncycle_volume = "data"\n'
VOLUME = '[[cycle_volume]]\nname = "data"\nmode = "graduated"\nper = "MB"\n'
WINDOWS = "windows.peak = { price = 1 }\nwindows.off = { price = 1 }\n"


def windowed(*spans: str, holidays: str = "") -> str:
    peak, off = spans[0], ", ".join(f'"{span}"' for span in spans[1:])
    head = f'{holidays}\n[windows]\npeak = ["{peak}"]\noff = [{off}]\n'
    return head + '[[entry]]\nname = "calls"\nusage = "voice"\nper = "min"\n' + WINDOWS


def stepped(steps: str) -> str:
    entry = '[[entry]]\nname = "calls"\nusage = "voice"\nper = "min"\n'
    return f"{entry}steps = [{steps}]\n"


NIGHTS = ("mon-fri 00:00-08:00", "mon-fri 18:00-24:00", "sat,sun 00:00-24:00")


@pytest.mark.parametrize(
    ("sheet", "fault"),
    [
        # The head.
        ("", "entry: missing: a plan needs at least one [[entry]]"),
        (f'curency = "EUR"\n{CALLS}', "curency: unknown key (did you mean 'currency'?)"),
        (f'currency = "euro"\n{CALLS}', "currency: must be three capitals such as EUR"),
        (f'timezone = "Amsterdam"\n{CALLS}', "timezone: is no zone of the tz database"),
        (
            f"valid_from = 2026-02-01\nvalid_to = 2026-02-01\n{CALLS}",
            "valid_to: must be after valid_from (2026-02-01)",
        ),
        (f'valid_from = "2026-02-30"\n{CALLS}', "valid_from: must be a date such as"),
        (f'{CALLS}[rounding]\nmode = "nearest"\n', "rounding.mode: must be one of 'up'"),
        (f'{CALLS}[rounding]\nmode = "up"\ndecimals = 7\n', "rounding.decimals: must be 0"),
        (f"{CALLS}[cycle]\nminimum = 2\nmaximum = 1\n", "minimum: is above the maximum"),
        (f'{CALLS}[cycle]\nminimum = "0.0000001"\n', "minimum: has more than six decimals"),
        # Windows cover the week once.
        (
            windowed("mon-fri 09:00-18:00", *NIGHTS),
            "windows: mon 08:00-09:00 is in no window: gap; windows: tue 08:00-09:00",
        ),
        (
            windowed("mon-fri 07:30-18:00", *NIGHTS),
            "windows: mon 07:30-08:00 is in off and in peak: overlap",
        ),
        (
            windowed("mon-fri 08:00-18:00", *NIGHTS[:2], "sat 00:00-24:00"),
            "windows: sun 00:00-24:00 is in no window: gap",
        ),
        (
            windowed("mon-fri 08:00-18:00", *NIGHTS, holidays="holidays = [2026-12-25]"),
            "windows: holidays are listed, but no window covers 'holiday'",
        ),
        (
            windowed("mon-fri 08:00-18:00", *NIGHTS, "holiday 00:00-24:00"),
            "holidays: missing: windows speak of 'holiday'",
        ),
        (
            windowed("mon-fri 08:00-18:00", *NIGHTS[:2], "sat,zon 00:00-24:00"),
            "windows.off: unknown day 'zon' (did you mean 'mon'?)",
        ),
        (
            windowed("fri-mon 08:00-18:00", *NIGHTS),
            "windows.peak: days run from mon to sun, not 'fri-mon'",
        ),
        (
            windowed("mon-fri 18:00-08:00", *NIGHTS),
            "windows.peak: must end after it starts and by 24:00 (a night is two spans)",
        ),
        (
            windowed("mon-fri 08:00-18:00", *NIGHTS).replace(
                "windows.off = { price = 1 }", "windows.of = { price = 1 }"
            ),
            "entry[calls].windows.off: missing: every window of the plan needs its price;"
            " entry[calls].windows.of: unknown key (did you mean 'off'?)",
        ),
        # Prices.
        (f"{CALLS}steps = [{{ price = 1 }}]\n", "found price and steps"),
        ('[[entry]]\nname = "x"\nusage = "sms"\n', "entry[x].price: an entry has one of"),
        (CALLS.replace('per = "min"', ""), "entry[calls].per: missing"),
        (
            CALLS.replace('"min"', '"mim"'),
            "must be in one of 's', 'min', 'h', not 'mim'",
        ),
        (
            CALLS.replace('"min"', '"MB"'),
            "must be in one of 's', 'min', 'h', not 'MB'",
        ),
        (CALLS.replace('"0.10"', '"-0.10"'), "price: must be an amount such as '0.0405'"),
        (CALLS.replace('"0.10"', '"0,10"'), "price: must be an amount such as '0.0405'"),
        (CALLS.replace('"0.10"', '"0.0000000001"'), "price: has more than 9 decimals"),
        (CALLS.replace('"0.10"', "1000001"), "price: is above 1,000,000"),
        (f'{CALLS}increment = "60"\n', "increment: must be first/step, such as '60/6'"),
        (f'{CALLS}increment = "60/0"\n', "increment: must be above 0"),
        (f'{CALLS}increment = "0.5/1"\n', "increment: is no whole number of s"),
        (f"{CALLS}markup = 5\n", "entry[calls].markup: is for at_cost = true"),
        (CALLS.replace("voice", "speech"), "entry[calls].usage: must be one of 'voice'"),
        # Steps and tiers: the last is open, nothing is missing, nothing comes twice.
        (
            stepped("{ up_to = 60, price = 1 }"),
            "steps[1].up_to: the last tier must be open: leave up_to out",
        ),
        (
            stepped("{ price = 1 }, { price = 2 }"),
            "steps[1].up_to: missing: only the last tier is open",
        ),
        (
            stepped("{ up_to = 60, price = 1 }, { up_to = 60, price = 1 }, { price = 2 }"),
            "steps[2].up_to: must be above 60, where this tier begins: overlap",
        ),
        (
            stepped("{ up_to = 60, price = 1 }, { from = 61, price = 2 }"),
            "steps[2].from: 61, but the tier before ends at 60: gap",
        ),
        (
            stepped("{ up_to = 60, price = 1 }, { from = 59, price = 2 }"),
            "steps[2].from: 59, but the tier before ends at 60: overlap",
        ),
        (stepped("{ up_to = 60 }, { price = 2 }"), "steps[1].price: missing (or flat)"),
        # Names.
        (CALLS + CALLS, "entry[calls]: the name stands twice"),
        (f'{CALLS}zones = ["eu"]\n', "entry[calls].zones: unknown zone 'eu'"),
        (
            f'{CALLS}zones = ["europ"]\n[zones]\neurope = ["EU"]\n',
            "entry[calls].zones: unknown zone 'europ' (did you mean 'europe'?)",
        ),
        (
            f'{CALLS}[zones]\na = ["EU"]\nb = ["EU"]\n',
            "zones.b: 'EU' is in zone a already",
        ),
        (f"{CALLS}[zones]\na = []\n", "zones.a: must list what records call this zone"),
        (f'{CALLS}prefixes = ["31", "+31"]\n', "prefixes: +31 stands twice"),
        (f'{CALLS}prefixes = ["06"]\n', "prefixes: must be the first digits of an intern"),
        (
            CALLS + CALLS.replace('"calls"', '"others"'),
            "entry: 'calls' and 'others' both cover voice out, any destination:"
            " give one a weight",
        ),
        # Cycle volumes and allowances.
        (DATA, "entry[data].cycle_volume: unknown pricing 'data'"),
        (f"{DATA}{VOLUME}", "cycle_volume[data].tiers: missing"),
        (
            f"{DATA}{VOLUME}tiers = [{{ up_to = '1 GB', price = 1 }}]\n",
            "cycle_volume[data].tiers[1].up_to: the last tier must be open",
        ),
        (
            f'{CALLS}[[cycle_volume]]\nname = "data"\nmode = "package"\n',
            "cycle_volume[data].name: no entry counts towards 'data'",
        ),
        (
            f'{CALLS}[[allowance]]\nname = "a"\nusage = "voice"\nsize = "1 min"\n'
            'entries = ["call"]\n',
            "allowance[a].entries: unknown entry 'call' (did you mean 'calls'?)",
        ),
        (
            f'{CALLS}[[allowance]]\nname = "a"\nusage = "voice"\nsize = 100\nblock = 60\n',
            "allowance[a].size: must be a whole number of blocks of 60 s",
        ),
        (
            f'{CALLS}[[allowance]]\nname = "a"\nusage = "voice"\n',
            "allowance[a].size: an allowance has either a size (units) or an amount",
        ),
        (
            f'{CALLS}[[allowance]]\nname = "a"\nusage = "data"\nsize = "1 GB"\n',
            "allowance[a]: covers no entry of the plan",
        ),
        (
            f'{CALLS}[[allowance]]\nname = "a"\nusage = ["voice", "data"]\nsize = 1\n',
            "allowance[a].usage: an allowance of units covers usage of one unit",
        ),
        (
            f'{CALLS}[[allowance]]\nname = "{"a" * 129}"\nusage = "voice"\nsize = 1\n',
            "has a name of more than 128 characters",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(sheet: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(fault)):
        plan(sheet)


def test_every_fault_is_in_one_message() -> None:
    sheet = (
        'curency = "EUR"\n'
        '[rounding]\nmode = "half"\n'
        '[[entry]]\nname = "a"\nusage = "voice"\nprice = "x"\nper = "mim"\n'
        '[[entry]]\nname = "b"\nusage = "data"\nzones = ["eu"]\nprice = 1\nper = "MB"\n'
    )
    with pytest.raises(ConfigError, match="rate plan 'sheet' has 5 faults") as caught:
        plan(sheet)
    places = (
        "curency",
        "rounding.mode",
        "entry[a].price",
        "entry[a].per",
        "entry[b].zones",
    )
    assert all(place in str(caught.value) for place in places)


DECKED = 'decks = ["deck.csv"]\n' + CALLS + 'destinations = ["home"]\n'


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (
            [("31", "home", "0"), ("+31", "abroad", "0")],
            "deck.csv line 3: prefix +31 stands in deck.csv line 2 with the same weight",
        ),
        ([("06", "home", "0")], "deck.csv line 2: prefix: must be the first digits"),
        ([("31", "", "0")], "deck.csv line 2: destination: must not be empty"),
        ([("31", "home", "x")], "deck.csv line 2: weight: must be a whole number, not 'x'"),
        (
            [("31", "hom", "0")],
            "entry[calls].destinations: unknown destination 'home' (did you mean 'hom'?)",
        ),
        ([("0", "home", "0")] * 25, "deck.csv: 5 further faults"),
    ],
)
def test_a_fault_of_a_deck_is_named_with_its_line(
    rows: list[tuple[str, str, str]], fault: str
) -> None:
    deck = [
        dict(zip(("prefix", "destination", "weight"), row, strict=True)) for row in rows
    ]
    with pytest.raises(ConfigError, match=re.escape(fault)):
        plan(DECKED, {"deck.csv": deck})


def test_a_misspelt_column_of_a_deck_is_named() -> None:
    deck = [{"prefx": "31", "destination": "home"}]
    with pytest.raises(ConfigError, match=r"column 'prefx' \(did you mean 'prefix'"):
        plan(DECKED, {"deck.csv": deck})
    with pytest.raises(ConfigError, match=r"decks: 'deck\.csv' is missing"):
        plan(DECKED)


def test_a_price_list_has_a_column_for_each_window() -> None:
    listed = windowed("mon-fri 08:00-18:00", *NIGHTS).replace(
        WINDOWS, 'prices = "list.csv"\n'
    )
    deck = [{"prefix": "31", "destination": "home"}]
    sheet = 'decks = ["deck.csv"]\n' + listed
    row = {"destination": "home", "price.peak": "0.10"}
    with pytest.raises(ConfigError, match=r"column 'price\.off' is missing"):
        plan(sheet, {"deck.csv": deck, "list.csv": [row]})
    good = plan(sheet, {"deck.csv": deck, "list.csv": [{**row, "price.off": "0.05"}]})
    assert [entry.name for entry in good.entries] == ["calls: home"]
    assert sorted(good.entries[0].tariffs) == ["off", "peak"]


def test_prices_that_could_not_be_added_exactly_are_refused() -> None:
    odd = ", ".join(
        f"{{ up_to = {place}, price = '0.1', per = '{per}' }}"
        for place, per in enumerate((999983, 999979, 999961, 999959), start=1)
    )
    with pytest.raises(ConfigError, match="its prices cannot be added exactly"):
        plan(stepped(f"{odd}, {{ price = 1 }}"))
