"""Reference files: checked whole, with every fault named by file, line and column."""

import json
from datetime import date
from pathlib import Path

import pytest

from etl.rate_plan_files import load_rate_plan_file, rate_plan_text, stored_rate_plan
from etl.reference_files import read_reference
from transforms.errors import ConfigError
from transforms.reference import (
    SyncProfile,
    SyncSettings,
    settings_from_json,
    settings_json,
)

CUSTOMERS = """customer_id,name,timezone,cycle_day,currency,vat_number,city
2,Tweede BV,Europe/London,15,GBP,NL2,Delft
1,Eerste BV,,,,,
"""
SUBSCRIPTIONS = """identifier,kind,customer_id,valid_from,valid_to
+31600000011,number,1,,2026-03-01
+31600000011,number,2,2026-03-01,
SIP-1,line,1,,
700101,contract,2,2026-01-01,2027-01-01
K10001,account,2,,
"""
FEEDS = """
[[sync_profile]]
provider = "routit"
[sync_profile.settings]
transport = "https"
url = "https://api.example.test"
account = "10001"
auth = "oauth2"
token_url = "https://login.example.test/token"
client_id = "expensis"
secret = "env:ROUTIT_SECRET"

[[sync_profile]]
provider = "kpn_een"
enabled = false
every_minutes = 60
[sync_profile.settings]
transport = "folder"
folder = "drop/kpn"
"""


def write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        ending = "toml" if name == "sync_profiles" else "csv"
        (folder / f"{name}.{ending}").write_text(text, encoding="utf-8")
    return folder


def faults(folder: Path, **texts: str) -> str:
    with pytest.raises(ConfigError) as refused:
        read_reference(write(folder, **texts), providers=["routit", "kpn_een"])
    return str(refused.value)


def test_a_whole_folder_is_read(tmp_path: Path) -> None:
    write(tmp_path, customers=CUSTOMERS, subscriptions=SUBSCRIPTIONS, sync_profiles=FEEDS)

    reference = read_reference(tmp_path, providers=["routit", "kpn_een"])

    assert reference.customers is not None
    assert reference.customers.rows() == [
        (1, "Eerste BV", "Europe/Amsterdam", 1, "EUR", "{}"),
        (
            2,
            "Tweede BV",
            "Europe/London",
            15,
            "GBP",
            '{"city": "Delft", "vat_number": "NL2"}',
        ),
    ]
    assert reference.subscriptions is not None
    assert reference.subscriptions.rows() == [
        ("account", "K10001", 2, None, None),
        ("contract", "700101", 2, date(2026, 1, 1), date(2027, 1, 1)),
        ("line", "SIP-1", 1, None, None),
        ("number", "+31600000011", 1, None, date(2026, 3, 1)),
        ("number", "+31600000011", 2, date(2026, 3, 1), None),
    ]
    assert reference.sync_profiles == (
        SyncProfile(
            "routit",
            SyncSettings(
                "https",
                url="https://api.example.test",
                account="10001",
                auth="oauth2",
                token_url="https://login.example.test/token",
                client_id="expensis",
                secret="env:ROUTIT_SECRET",
            ),
        ),
        SyncProfile(
            "kpn_een",
            SyncSettings("folder", folder="drop/kpn"),
            enabled=False,
            every_minutes=60,
        ),
    )


def test_semicolons_a_byte_order_mark_and_windows_lines_are_fine(tmp_path: Path) -> None:
    text = "\ufeffcustomer_id;name;timezone;cycle_day;currency\r\n1;Jansen, BV;;;\r\n"
    (tmp_path / "customers.csv").write_bytes(text.encode())

    reference = read_reference(tmp_path)

    assert reference.customers is not None
    assert reference.customers["name"].to_list() == ["Jansen, BV"]
    assert reference.subscriptions is None


# One row with one fault each; the message names file, line, column and the rule.
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("x,Naam,,,", "line 2 column customer_id: must be a whole number from 1"),
        ("0,Naam,,,", "line 2 column customer_id: must be a whole number from 1"),
        (
            "9223372036854775808,Naam,,,",
            "column customer_id: must be a whole number from 1",
        ),
        ("1,,,,", "line 2 column name: must be 1 to 255 characters"),
        ("1,Naam,Europe/Amsterdm,,", "line 2 column timezone: is not a time zone"),
        ("1,Naam,+02:00,,", "line 2 column timezone: is not a time zone"),
        ("1,Naam,../etc/passwd,,", "line 2 column timezone: is not a time zone"),
        ("1,Naam,,0,", "line 2 column cycle_day: must be a day of the month, 1 to 31"),
        ("1,Naam,,32,", "line 2 column cycle_day: must be a day of the month, 1 to 31"),
        ("1,Naam,,1.0,", "line 2 column cycle_day: must be a day of the month, 1 to 31"),
        ("1,Naam,,,eur", "line 2 column currency: must be three capitals"),
        ("1,Naam,,,EURO", "line 2 column currency: must be three capitals"),
        ("1,Naam,,", "line 2: has 4 cells where the header has 5"),
    ],
)
def test_a_customer_that_is_not_right_is_named(
    tmp_path: Path, row: str, message: str
) -> None:
    header = "customer_id,name,timezone,cycle_day,currency"

    assert message in faults(tmp_path, customers=f"{header}\n{row}\n")


def test_a_customer_twice_is_refused(tmp_path: Path) -> None:
    text = "customer_id,name\n7,Een\n8,Twee\n7,Drie\n"

    assert (
        "customers.csv line 4 column customer_id: the same customer as on line 2"
        in faults(tmp_path, customers=text)
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("31600000011,number,1,,", "line 2 column identifier: a number must be E.164"),
        ("+0612345678,number,1,,", "line 2 column identifier: a number must be E.164"),
        ("+31 6 12345678,number,1,,", "line 2 column identifier: a number must be E.164"),
        (",line,1,,", "line 2 column identifier: must be 1 to 128 characters"),
        ("x,nummer,1,,", "column kind: must be one of number, line, contract, account"),
        ("x,line,3,,", "line 2 column customer_id: customer 3 is not in customers.csv"),
        ("x,line,1,2026-13-01,", "line 2 column valid_from: month must be in 1..12"),
        ("x,line,1,01-02-2026,", "column valid_from: must be a date written YYYY-MM-DD"),
        ("x,line,1,20260201,", "column valid_from: must be a date written YYYY-MM-DD"),
        ("x,line,1,0001-01-01,", "column valid_from: must be 1900-01-01 or later"),
        ("x,line,1,2026-02-01,2026-02-01", "column valid_to: must be after valid_from"),
    ],
)
def test_a_subscription_that_is_not_right_is_named(
    tmp_path: Path, row: str, message: str
) -> None:
    header = "identifier,kind,customer_id,valid_from,valid_to"
    found = faults(tmp_path, customers=CUSTOMERS, subscriptions=f"{header}\n{row}\n")

    assert f"subscriptions.csv {message}" in found or message in found
    assert "31600000011" not in found


# Half-open intervals may touch; they may not share a day. The later line is named first.
@pytest.mark.parametrize(
    ("first", "second", "is_fine"),
    [
        (",2026-03-01", "2026-03-01,", True),
        ("2026-03-01,", ",2026-03-01", True),
        (",2026-03-02", "2026-03-01,", False),
        (",", ",", False),
        (",", "2026-01-01,2026-02-01", False),
        ("2026-01-01,2026-02-01", ",", False),
        ("2026-01-01,2026-06-01", "2026-02-01,2026-03-01", False),
    ],
)
def test_one_number_has_one_owner_a_day(
    tmp_path: Path, first: str, second: str, *, is_fine: bool
) -> None:
    text = (
        "identifier,kind,customer_id,valid_from,valid_to\n"
        f"+31600000011,number,1,{first}\n"
        f"+31600000011,number,2,{second}\n"
    )
    write(tmp_path, customers=CUSTOMERS, subscriptions=text)
    if is_fine:
        assert read_reference(tmp_path).subscriptions is not None
        return

    with pytest.raises(ConfigError) as refused:
        read_reference(tmp_path)
    lines = [line for line in str(refused.value).splitlines() if "the same number" in line]
    assert len(lines) == 1
    assert "line 2" in lines[0]
    assert "line 3" in lines[0]


def test_a_long_interval_overlaps_each_short_one_inside_it(tmp_path: Path) -> None:
    text = (
        "identifier,kind,customer_id,valid_from,valid_to\n"
        "+31600000011,number,1,2026-01-01,2027-01-01\n"
        "+31600000011,number,2,2026-02-01,2026-03-01\n"
        "+31600000011,number,2,2026-04-01,2026-05-01\n"
    )

    found = faults(tmp_path, customers=CUSTOMERS, subscriptions=text)

    assert "line 3 column identifier: the same number as on line 2" in found
    assert "line 4 column identifier: the same number as on line 2" in found


def test_one_identifier_of_two_kinds_is_two_things(tmp_path: Path) -> None:
    text = "identifier,kind,customer_id\n700101,contract,1\n700101,account,2\n"

    write(tmp_path, customers=CUSTOMERS, subscriptions=text)

    reference = read_reference(tmp_path)
    assert reference.subscriptions is not None
    assert reference.subscriptions.height == 2


def test_twenty_faults_are_listed_and_the_rest_is_counted(tmp_path: Path) -> None:
    rows = "".join(f"{number},,,,\n" for number in range(1, 24))

    message = faults(
        tmp_path, customers=f"customer_id,name,timezone,cycle_day,currency\n{rows}"
    )

    assert message.count("column name") == 20
    assert message.endswith("and 3 more")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("customerid,name", "column customerid: unknown; did you mean customer_id?"),
        ("id,name", "column customer_id: missing"),
        ("customer_id,name,time_zone", "column time_zone: unknown; did you mean timezone?"),
        ("customer_id,name,cycleday", "column cycleday: unknown; did you mean cycle_day?"),
        ("customer_id,name,name", "column 'name' stands twice"),
        ("customer_id,,name", "a name is missing"),
    ],
)
def test_a_column_by_another_name_is_not_passed_over(
    tmp_path: Path, header: str, message: str
) -> None:
    assert message in faults(tmp_path, customers=f"{header}\n")


def test_an_empty_folder_names_the_files_it_should_hold(tmp_path: Path) -> None:
    assert "customers.csv, subscriptions.csv, sync_profiles.toml" in faults(tmp_path)


def test_a_misspelt_file_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path, customers=CUSTOMERS, subscription=SUBSCRIPTIONS)

    with pytest.raises(ConfigError, match=r"did you mean subscriptions\.csv"):
        read_reference(tmp_path)


PLAN = """
schema = "cdr-rate-plan/1"
id = "office"
name = "Office"
[[entry]]
name = "calls"
usage = "voice"
price = "0.10"
per = "min"
"""


def plan_folder(folder: Path, text: str = PLAN) -> Path:
    (folder / "rate_plans").mkdir()
    (folder / "rate_plans" / "office.toml").write_text(text, encoding="utf-8")
    return folder


def test_rate_plans_are_read_with_who_has_which(tmp_path: Path) -> None:
    write(
        plan_folder(tmp_path),
        customer_rate_plans="customer_id,rate_plan,valid_from,valid_to\n"
        "7,office,2026-03-01,\n7,office,,2026-03-01\n",
    )

    reference = read_reference(tmp_path)

    assert reference.rate_plans is not None
    assert [(plan.id, plan.currency) for plan in reference.rate_plans] == [
        ("office", "EUR")
    ]
    assert reference.customer_rate_plans is not None
    assert reference.customer_rate_plans.rows() == [
        (7, "office", None, date(2026, 3, 1)),
        (7, "office", date(2026, 3, 1), None),
    ]


def test_a_plan_kept_as_text_is_read_back_as_the_same_plan(tmp_path: Path) -> None:
    plan_folder(tmp_path, PLAN.replace("[[entry]]", 'decks = ["a/deck.csv"]\n[[entry]]'))
    (tmp_path / "rate_plans" / "a").mkdir()
    deck = b"\xef\xbb\xbfprefix,destination\r\n316,NL mobile\r\n"
    (tmp_path / "rate_plans" / "a" / "deck.csv").write_bytes(deck)
    path = tmp_path / "rate_plans" / "office.toml"

    kept = rate_plan_text(path)

    assert stored_rate_plan(kept.document) == load_rate_plan_file(path)


def test_a_customer_has_one_plan_a_day(tmp_path: Path) -> None:
    text = "customer_id,rate_plan,valid_from,valid_to\n7,office,2026-03-01,\n7,other,,\n"

    assert (
        "customer_rate_plans.csv line 2 column valid_from:"
        " customer 7 has a plan on that day already, by line 3"
    ) in faults(tmp_path, customer_rate_plans=text)


def test_a_file_that_is_not_text_names_the_byte(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_bytes(b"customer_id,name\n1,Caf\xe9\n")

    with pytest.raises(ConfigError, match="byte 22 is not UTF-8"):
        read_reference(tmp_path)


def test_line_numbers_count_lines_inside_quotes(tmp_path: Path) -> None:
    text = 'customer_id,name\n1,"Twee\nregels"\n\nx,Fout\n'

    assert "customers.csv line 5 column customer_id" in faults(tmp_path, customers=text)


# Each change to a good feed, and what is said about it.
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"routit"', '"rootit"', "provider: 'rootit' is not known; did you mean routit?"),
        ("every_minutes = 60", "every_minutes = 0", "2 every_minutes: must be 1 to 10080"),
        ("every_minutes = 60", "every_minutes = true", "2 every_minutes: must be 1 to"),
        ("enabled = false", 'enabled = "no"', "2 enabled: must be true or false"),
        ("enabled = false", "enable = false", "enable: unknown key; did you mean enabled?"),
        ('"https"\n', '"ftp"\n', "transport: must be one of https, folder, sftp"),
        ('account = "10001"', "", "settings account: missing"),
        ('account = "10001"', "account = 10001", "account: must be a text"),
        ("client_id =", "cliend_id =", "cliend_id: unknown key; did you mean client_id?"),
        ('auth = "oauth2"', 'auth = "digest"', "auth: must be one of oauth2, basic"),
        ('token_url = "https://login.example.test/token"', "", "token_url: missing"),
        ("https://api", "http://api", "url: must begin with https:// and name a host"),
        ("https://api", "https://u:p@api", "url: must not hold a user or password"),
        ("example.test/token", "example.test/t?k=1", "must not have a query or fragment"),
        ('"kpn_een"', '"routit"', "2 provider: 'routit' has a sync profile already"),
        ("sync_profile", "sync_profiles", "unknown key; did you mean sync_profile?"),
    ],
)
def test_a_feed_that_is_not_right_is_named(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert message in faults(tmp_path, sync_profiles=FEEDS.replace(old, new))


def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    message = faults(
        tmp_path, sync_profiles=FEEDS.replace("env:ROUTIT_SECRET", "s3cr3t-c4n4ry")
    )

    assert 'settings secret: must be a reference, "env:NAME" or "file:/path"' in message
    assert "c4n4ry" not in message


def test_the_simulator_on_this_machine_may_speak_plain_http(tmp_path: Path) -> None:
    text = FEEDS.replace("https://api.example.test", "http://127.0.0.1:8123/base")

    profiles = read_reference(write(tmp_path, sync_profiles=text)).sync_profiles

    assert profiles is not None
    assert profiles[0].settings.url == "http://127.0.0.1:8123/base"


def test_settings_survive_the_database_as_json() -> None:
    settings = SyncSettings(
        "https", url="https://a.test", auth="basic", allowed_hosts=("b.test", "c.test")
    )

    text = settings_json(settings)

    assert json.loads(text) == {
        "allowed_hosts": ["b.test", "c.test"],
        "auth": "basic",
        "transport": "https",
        "url": "https://a.test",
    }
    assert settings_from_json(text) == settings
