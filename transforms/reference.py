"""Reference data: who the customers are, what belongs to whom and when, what to fetch.

Pure. Rows of text in, frames out, checked whole: every fault of every file is found before
one message lists them with file, line and column. The texts come from
``etl/reference_files.py``; ``loaders/reference.py`` keeps the frames.

Validity is half-open, ``[valid_from, valid_to)``, in dates on the customer's wall clock;
null is open. Messages name lines, never identifiers, because those are phone numbers.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from difflib import get_close_matches
from itertools import pairwise
from typing import Final, Literal, NoReturn, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from transforms.cdr import INSTANT, Schema
from transforms.errors import ConfigError

DEFAULT_ZONE: Final = "Europe/Amsterdam"
DEFAULT_CYCLE_DAY: Final = 1
DEFAULT_CURRENCY: Final = "EUR"

FAULTS_SHOWN: Final = 20
IDENTIFIER_CHARS: Final = 128
EARLIEST: Final = date(1900, 1, 1)
LARGEST_ID: Final = 2**63 - 1

Kind = Literal["number", "line", "contract", "account"]
KINDS: Final[tuple[Kind, ...]] = ("number", "line", "contract", "account")
"""What a subscription is known by, in the order owners are looked up."""

CUSTOMERS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "name": pl.String(),
    "timezone": pl.String(),
    "cycle_day": pl.Int64(),
    "currency": pl.String(),
    "details": pl.String(),
}
"""One customer a row. ``details`` is a JSON object of the file's further columns."""

SUBSCRIPTIONS: Final[Schema] = {
    "kind": pl.String(),
    "identifier": pl.String(),
    "customer_id": pl.Int64(),
    "valid_from": pl.Date(),
    "valid_to": pl.Date(),
}
"""What belongs to whom, ``[valid_from, valid_to)``; null is open."""

CUSTOMER_RATE_PLANS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "rate_plan": pl.String(),
    "valid_from": pl.Date(),
    "valid_to": pl.Date(),
}
"""Which customer has which rate plan, ``[valid_from, valid_to)``; null is open."""

_CUSTOMER_COLUMNS: Final = ("customer_id", "name", "timezone", "cycle_day", "currency")
_SUBSCRIPTION_COLUMNS: Final = (
    "identifier",
    "kind",
    "customer_id",
    "valid_from",
    "valid_to",
)
_PLAN_COLUMNS: Final = ("customer_id", "rate_plan", "valid_from", "valid_to")

T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """One row of a CSV file: the physical line it starts on and its cells by column.

    ``fault`` says what is wrong with the row as such; its cells are then not read.
    """

    number: int
    cells: Mapping[str, str]
    fault: str = ""


@dataclass(frozen=True)
class CsvFile:
    """One CSV file as text."""

    name: str
    columns: tuple[str, ...]
    lines: Sequence[Line]


@dataclass(frozen=True)
class SyncSettings:
    """How one provider's deliveries are fetched; an empty text is "not given".

    ``secret`` (and ``client_id``, if one likes) is a reference, ``env:NAME`` or
    ``file:/path``, never the secret itself.
    """

    transport: Literal["https", "folder", "sftp"]
    url: str = ""
    folder: str = ""
    account: str = ""
    auth: str = ""
    token_url: str = ""
    client_id: str = ""
    secret: str = ""
    known_hosts: str = ""
    allowed_hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class SyncProfile:
    """One feed to fetch: which provider, how often and how."""

    provider: str
    settings: SyncSettings
    enabled: bool = True
    every_minutes: int = 5


@dataclass(frozen=True)
class RatePlanText:
    """A rate plan that was checked, with the texts it was read from.

    ``document`` holds the plan and every file it names, so that totals made with it are
    a function of what is stored.
    """

    id: str
    version: str
    currency: str
    valid_from: date | None
    valid_to: date | None
    document: str


@dataclass(frozen=True)
class Reference:
    """The files of one folder; None where the folder has no such file."""

    customers: pl.DataFrame | None = None
    subscriptions: pl.DataFrame | None = None
    sync_profiles: tuple[SyncProfile, ...] | None = None
    rate_plans: tuple[RatePlanText, ...] | None = None
    customer_rate_plans: pl.DataFrame | None = None


def parse_reference(
    customers: CsvFile | None,
    subscriptions: CsvFile | None,
    sync_profiles: tuple[str, Mapping[str, object]] | None = None,
    *,
    providers: Iterable[str] = (),
    rate_plans: tuple[RatePlanText, ...] | None = None,
    customer_rate_plans: CsvFile | None = None,
) -> Reference:
    """Check the files of one folder as a whole.

    Args:
        customers: ``customers.csv`` as text.
        subscriptions: ``subscriptions.csv`` as text. Whether its customers exist is
            checked here when both files are given, and by the store otherwise.
        sync_profiles: File name and document of ``sync_profiles.toml``.
        providers: The known profile ids; empty skips that check.
        rate_plans: The plans of ``rate_plans/``, each checked already.
        customer_rate_plans: ``customer_rate_plans.csv`` as text. Whether its customers
            and plans exist is checked by the store, which knows what was loaded before.

    Returns:
        Frames ``CUSTOMERS`` (sorted by id) and ``SUBSCRIPTIONS`` (sorted by kind,
        identifier and start), and the sync profiles.

    Raises:
        ConfigError: One message with up to 20 faults, each with file, line and column,
            and the number of further ones.
    """
    faults: list[str] = []
    owners = None if customers is None else _customers(customers, faults)
    known = None if owners is None else set(owners["customer_id"].to_list())
    owned = None if subscriptions is None else _subscriptions(subscriptions, known, faults)
    feeds = None if sync_profiles is None else _feeds(*sync_profiles, providers, faults)
    assigned = None
    if customer_rate_plans is not None:
        assigned = _customer_rate_plans(customer_rate_plans, faults)
    if faults:
        refuse(faults)
    return Reference(owners, owned, feeds, rate_plans, assigned)


def refuse(faults: Sequence[str]) -> NoReturn:
    """Raise one message for all faults of the reference data.

    Raises:
        ConfigError: Always; it lists 20 faults and counts the rest.
    """
    shown = [f"  {fault}" for fault in faults[:FAULTS_SHOWN]]
    if len(faults) > FAULTS_SHOWN:
        shown.append(f"  and {len(faults) - FAULTS_SHOWN} more")
    message = "\n".join(
        ["reference data is not loaded; mend these and load again:", *shown]
    )
    raise ConfigError(message)


def unknown_owners(subscriptions: pl.DataFrame, known: Iterable[int]) -> list[str]:
    """Name the customers that subscriptions refer to and nobody has described."""
    ids = set(subscriptions["customer_id"].to_list()) - set(known)
    return [
        f"customer {customer_id} owns subscriptions but is not in customers.csv"
        for customer_id in sorted(ids)
    ]


# --- customers.csv ---------------------------------------------------------------------


def _customers(file: CsvFile, faults: list[str]) -> pl.DataFrame:
    _check_columns(file, _CUSTOMER_COLUMNS, ("customer_id", "name"), faults)
    further = [column for column in file.columns if column not in _CUSTOMER_COLUMNS]
    cells = _Cells(file.name, faults)
    rows: list[tuple[object, ...]] = []
    first_lines: dict[int, int] = {}
    for line in cells.whole(file.lines):
        customer_id = cells.read(line, "customer_id", _customer_id)
        row = (
            customer_id,
            cells.read(line, "name", _name),
            cells.read(line, "timezone", _zone),
            cells.read(line, "cycle_day", _cycle_day),
            cells.read(line, "currency", _currency),
            _details(line, further),
        )
        if customer_id is None:
            continue
        earlier = first_lines.setdefault(customer_id, line.number)
        if earlier != line.number:
            cells.fault(line, "customer_id", f"the same customer as on line {earlier}")
        rows.append(row)
    return pl.DataFrame(rows, CUSTOMERS, orient="row").sort("customer_id")


def _details(line: Line, further: Sequence[str]) -> str:
    filled = {name: line.cells[name] for name in further if line.cells.get(name)}
    return json.dumps(filled, ensure_ascii=False, sort_keys=True)


def _customer_id(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text) or not 0 < int(text) <= LARGEST_ID:
        message = "must be a whole number from 1"
        raise ValueError(message)
    return int(text)


def _name(text: str) -> str:
    if not text or len(text) > 255:
        message = "must be 1 to 255 characters"
        raise ValueError(message)
    return text


def _zone(text: str) -> str:
    zone = text or DEFAULT_ZONE
    if not is_zone(zone):
        message = "is not a time zone of the tz database, such as Europe/Amsterdam"
        raise ValueError(message)
    return zone


def is_zone(name: str) -> bool:
    """Tell whether both Python and Polars know a time zone by this name."""
    try:
        ZoneInfo(name)
        pl.Series([], dtype=INSTANT).dt.replace_time_zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, pl.exceptions.ComputeError):
        return False
    return True


def _cycle_day(text: str) -> int:
    day = text or str(DEFAULT_CYCLE_DAY)
    if not re.fullmatch(r"[0-9]{1,2}", day) or not 1 <= int(day) <= 31:
        message = "must be a day of the month, 1 to 31"
        raise ValueError(message)
    return int(day)


def _currency(text: str) -> str:
    currency = text or DEFAULT_CURRENCY
    if not re.fullmatch(r"[A-Z]{3}", currency):
        message = "must be three capitals of ISO 4217, such as EUR"
        raise ValueError(message)
    return currency


# --- subscriptions.csv -----------------------------------------------------------------


def _subscriptions(
    file: CsvFile, known: set[int] | None, faults: list[str]
) -> pl.DataFrame:
    _check_columns(file, _SUBSCRIPTION_COLUMNS, _SUBSCRIPTION_COLUMNS[:3], faults)
    cells = _Cells(file.name, faults)
    intervals: list[_Interval] = []
    for line in cells.whole(file.lines):
        interval = _interval(line, cells)
        if interval is None:
            continue
        if known is not None and interval.customer_id not in known:
            cells.fault(
                line,
                "customer_id",
                f"customer {interval.customer_id} is not in customers.csv",
            )
        intervals.append(interval)
    intervals.sort(key=_Interval.order)
    _check_overlaps(intervals, cells)
    rows = [
        (each.kind, each.identifier, each.customer_id, each.valid_from, each.valid_to)
        for each in intervals
    ]
    return pl.DataFrame(rows, SUBSCRIPTIONS, orient="row")


@dataclass(frozen=True)
class _Interval:
    line: Line
    kind: Kind
    identifier: str
    customer_id: int
    valid_from: date | None
    valid_to: date | None

    def order(self) -> tuple[str, str, date, int]:
        start = self.valid_from or date.min
        return self.kind, self.identifier, start, self.line.number


def _interval(line: Line, cells: "_Cells") -> _Interval | None:
    kind = cells.read(line, "kind", _kind)
    as_identifier = _e164 if kind == "number" else _identifier
    identifier = cells.read(line, "identifier", as_identifier)
    customer_id = cells.read(line, "customer_id", _customer_id)
    before = len(cells.faults)
    start = cells.read(line, "valid_from", _day)
    end = cells.read(line, "valid_to", _day)
    if start is not None and end is not None and start >= end:
        cells.fault(line, "valid_to", f"must be after valid_from ({start}); it is the end")
    whole = len(cells.faults) == before
    if kind is None or identifier is None or customer_id is None or not whole:
        return None
    return _Interval(line, kind, identifier, customer_id, start, end)


def _check_overlaps(intervals: Sequence[_Interval], cells: "_Cells") -> None:
    """Refuse two intervals of one thing that share a day; both lines are named."""
    last: _Interval | None = None
    for each in intervals:
        same = last is not None and (last.kind, last.identifier) == (
            each.kind,
            each.identifier,
        )
        if last is None or not same:
            last = each
            continue
        if last.valid_to is None or (each.valid_from or date.min) < last.valid_to:
            cells.fault(
                each.line,
                "identifier",
                f"the same {each.kind} as on line {last.line.number},"
                f" and both are valid on the same day",
            )
        if last.valid_to is not None and (
            each.valid_to is None or each.valid_to > last.valid_to
        ):
            last = each


def _kind(text: str) -> Kind:
    for kind in KINDS:
        if text == kind:
            return kind
    message = f"must be one of {', '.join(KINDS)}"
    raise ValueError(message)


def _e164(text: str) -> str:
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", text):
        message = "a number must be E.164: + and 7 to 15 digits"
        raise ValueError(message)
    return text


def _identifier(text: str) -> str:
    if not text or len(text) > IDENTIFIER_CHARS:
        message = f"must be 1 to {IDENTIFIER_CHARS} characters"
        raise ValueError(message)
    return text


def _day(text: str) -> date | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        message = "must be a date written YYYY-MM-DD"
        raise ValueError(message)
    day = date.fromisoformat(text)
    if day < EARLIEST:
        message = f"must be {EARLIEST} or later; leave it empty for an open start"
        raise ValueError(message)
    return day


# --- customer_rate_plans.csv -----------------------------------------------------------


def _customer_rate_plans(file: CsvFile, faults: list[str]) -> pl.DataFrame:
    _check_columns(file, _PLAN_COLUMNS, _PLAN_COLUMNS[:2], faults)
    cells = _Cells(file.name, faults)
    rows: list[tuple[Line, int, str, date | None, date | None]] = []
    for line in cells.whole(file.lines):
        before = len(faults)
        customer_id = cells.read(line, "customer_id", _customer_id)
        name = cells.read(line, "rate_plan", _plan_name)
        start = cells.read(line, "valid_from", _day)
        end = cells.read(line, "valid_to", _day)
        if start is not None and end is not None and start >= end:
            cells.fault(
                line, "valid_to", f"must be after valid_from ({start}); it is the end"
            )
        if customer_id is not None and name is not None and len(faults) == before:
            rows.append((line, customer_id, name, start, end))
    rows.sort(key=lambda row: (row[1], row[3] or date.min, row[0].number))
    for last, each in pairwise(rows):
        ends = last[4] or date.max
        if last[1] == each[1] and (each[3] or date.min) < ends:
            cells.fault(
                each[0],
                "valid_from",
                f"customer {each[1]} has a plan on that day already, by line"
                f" {last[0].number}",
            )
    return pl.DataFrame([row[1:] for row in rows], CUSTOMER_RATE_PLANS, orient="row")


def _plan_name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", text):
        message = "must be the id of a rate plan: small letters, digits and _"
        raise ValueError(message)
    return text


def plan_faults(
    assignments: pl.DataFrame, currencies: Mapping[str, str], customers: pl.DataFrame
) -> list[str]:
    """Name what customers are given that does not fit: plan, customer or currency.

    Args:
        assignments: Frame ``CUSTOMER_RATE_PLANS``.
        currencies: The currency of every plan, by its id.
        customers: Frame ``CUSTOMERS``.
    """
    own = dict(customers.select("customer_id", "currency").iter_rows())
    faults: dict[str, None] = {}
    for customer_id, name in assignments.select("customer_id", "rate_plan").iter_rows():
        if name not in currencies:
            near = _near(name, currencies)
            faults[f"customer_rate_plans.csv: there is no rate plan {name}{near}"] = None
        if customer_id not in own:
            faults[
                f"customer_rate_plans.csv: customer {customer_id} is not in customers.csv"
            ] = None
        elif own[customer_id] != currencies.get(name, own[customer_id]):
            faults[
                f"customer_rate_plans.csv: customer {customer_id} pays in"
                f" {own[customer_id]}, but rate plan {name} is in {currencies[name]}"
            ] = None
    return list(faults)


# --- cells and columns of a CSV file ----------------------------------------------------


class _Cells:
    """Reads cells of one file and notes what is wrong with them."""

    def __init__(self, file: str, faults: list[str]) -> None:
        self.file = file
        self.faults = faults

    def whole(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Yield the rows that have the header's cells; note the others."""
        for line in lines:
            if line.fault:
                self.faults.append(f"{self.file} line {line.number}: {line.fault}")
            else:
                yield line

    def read(self, line: Line, column: str, parse: Callable[[str], T]) -> T | None:
        """Parse one cell; None, with a fault noted, when it is not what it must be."""
        try:
            return parse(line.cells.get(column, "").strip())
        except ValueError as exc:
            self.fault(line, column, str(exc))
            return None

    def fault(self, line: Line, column: str, text: str) -> None:
        self.faults.append(f"{self.file} line {line.number} column {column}: {text}")


def _check_columns(
    file: CsvFile, columns: Sequence[str], required: Sequence[str], faults: list[str]
) -> None:
    """Note missing columns, and further ones that look like a slip of the pen."""
    free = [column for column in file.columns if column not in columns]
    absent = [column for column in columns if column not in file.columns]
    for column in absent:
        near = get_close_matches(column, free, n=1, cutoff=0.75)
        if near:
            faults.append(
                f"{file.name} line 1 column {near[0]}: unknown; did you mean {column}?"
            )
        elif column in required:
            faults.append(f"{file.name} line 1 column {column}: missing")


# --- sync_profiles.toml -----------------------------------------------------------------

_FEED_KEYS: Final = ("provider", "enabled", "every_minutes", "settings")
_TRANSPORT_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "https": (
        "url",
        "account",
        "auth",
        "token_url",
        "client_id",
        "secret",
        "allowed_hosts",
    ),
    "folder": ("folder", "account"),
    "sftp": ("url", "account", "client_id", "secret", "known_hosts"),
}
_REQUIRED_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "https": ("url", "account", "auth", "client_id", "secret"),
    "folder": ("folder",),
    "sftp": ("url",),
}
_AUTHS: Final = ("oauth2", "basic")
_MINUTES_A_WEEK: Final = 7 * 24 * 60


def _feeds(
    file: str, document: Mapping[str, object], providers: Iterable[str], faults: list[str]
) -> tuple[SyncProfile, ...]:
    _check_keys(document, ("sync_profile",), file, faults)
    tables = document.get("sync_profile", [])
    if not isinstance(tables, list):
        faults.append(f"{file} sync_profile: must be tables, written [[sync_profile]]")
        return ()
    feeds: list[SyncProfile] = []
    for number, table in enumerate(tables, start=1):
        place = f"{file} sync_profile {number}"
        if not isinstance(table, dict):
            faults.append(f"{place}: must be a table, written [[sync_profile]]")
            continue
        feed = _feed(table, place, tuple(providers), faults)
        if any(feed.provider == earlier.provider for earlier in feeds):
            faults.append(f"{place} provider: {feed.provider!r} has a sync profile already")
        feeds.append(feed)
    return tuple(feeds)


def _feed(
    table: dict[str, object], place: str, providers: Sequence[str], faults: list[str]
) -> SyncProfile:
    _check_keys(table, _FEED_KEYS, place, faults)
    provider = _text(table, "provider", place, faults)
    if not provider:
        faults.append(f"{place} provider: missing")
    elif providers and provider not in providers:
        faults.append(
            f"{place} provider: {provider!r} is not known{_near(provider, providers)}"
        )
    enabled = table.get("enabled", True)
    if not isinstance(enabled, bool):
        faults.append(f"{place} enabled: must be true or false")
    minutes = table.get("every_minutes", 5)
    if type(minutes) is not int or not 1 <= minutes <= _MINUTES_A_WEEK:
        faults.append(f"{place} every_minutes: must be 1 to {_MINUTES_A_WEEK}")
        minutes = 5
    settings = table.get("settings")
    if isinstance(settings, dict):
        how = _settings(settings, f"{place} settings", faults)
    else:
        faults.append(f"{place} settings: missing; write [sync_profile.settings]")
        how = SyncSettings("folder")
    return SyncProfile(provider, how, enabled is True, minutes)


def _settings(table: dict[str, object], place: str, faults: list[str]) -> SyncSettings:
    transport = table.get("transport")
    if transport not in ("https", "folder", "sftp"):
        faults.append(f"{place} transport: must be one of https, folder, sftp")
        return SyncSettings("folder")
    allowed = _TRANSPORT_KEYS[transport]
    _check_keys(table, ("transport", *allowed), place, faults)
    texts = {
        key: _text(table, key, place, faults) for key in allowed if key != "allowed_hosts"
    }
    required = _REQUIRED_KEYS[transport]
    if texts.get("auth") == "oauth2":
        required += ("token_url",)
    faults.extend(f"{place} {key}: missing" for key in required if key not in table)
    if texts.get("auth") and texts["auth"] not in _AUTHS:
        faults.append(f"{place} auth: must be one of {', '.join(_AUTHS)}")
    _check_secret(texts.get("secret", ""), f"{place} secret", faults)
    for key in ("url", "token_url"):
        _check_url(texts.get(key, ""), transport, f"{place} {key}", faults)
    hosts = _hosts(table, place, faults)
    return SyncSettings(transport=transport, allowed_hosts=hosts, **texts)


def _hosts(table: dict[str, object], place: str, faults: list[str]) -> tuple[str, ...]:
    hosts = table.get("allowed_hosts", [])
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        faults.append(f"{place} allowed_hosts: must be a list of host names")
        return ()
    return tuple(str(host) for host in hosts)


def _check_secret(secret: str, place: str, faults: list[str]) -> None:
    """Only a reference may stand in the file; what stands there is never repeated."""
    if secret and not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/.+", secret):
        faults.append(f'{place}: must be a reference, "env:NAME" or "file:/path"')


_URL: Final = re.compile(
    r"(?P<scheme>[a-z]+)://"
    r"(?:(?P<user>[^/?#@]*)@)?"
    r"(?P<host>\[[0-9a-f:]+\]|[^/?#@:\[\]\s]+)"
    r"(?::[0-9]{1,5})?"
    r"(?:/[^?#\s]*)?"
)


def _check_url(url: str, transport: str, place: str, faults: list[str]) -> None:
    """A URL names a place and nothing secret; it is not repeated in the message."""
    if not url:
        return
    if "?" in url or "#" in url:
        faults.append(f"{place}: must not have a query or fragment")
        return
    parts = _URL.fullmatch(url)
    if parts is None or not _scheme_fits(parts["scheme"], parts["host"], transport):
        faults.append(f"{place}: must begin with {transport}:// and name a host")
        return
    user = parts["user"]
    if user is not None and (transport == "https" or ":" in user):
        faults.append(
            f"{place}: must not hold a user or password; use client_id and secret"
        )


def _scheme_fits(scheme: str, host: str, transport: str) -> bool:
    """Plain http is for a service on this machine only, such as the simulator."""
    is_loopback = host in ("localhost", "[::1]") or host.startswith("127.")
    return scheme == transport or (
        transport == "https" and scheme == "http" and is_loopback
    )


def _text(table: Mapping[str, object], key: str, place: str, faults: list[str]) -> str:
    value = table.get(key, "")
    if isinstance(value, str) and (value or key not in table):
        return value
    faults.append(f"{place} {key}: must be a text that is not empty")
    return ""


def _check_keys(
    table: Mapping[str, object], known: Sequence[str], place: str, faults: list[str]
) -> None:
    faults.extend(
        f"{place} {key}: unknown key{_near(key, known)}"
        for key in table
        if key not in known
    )


def _near(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def settings_json(settings: SyncSettings) -> str:
    """Write sync settings as a JSON object of what is given, keys sorted."""
    given = {each.name: getattr(settings, each.name) for each in fields(settings)}
    filled = {key: value for key, value in given.items() if value}
    return json.dumps(filled, ensure_ascii=False, sort_keys=True)


def settings_from_json(text: str) -> SyncSettings:
    """Read back what :func:`settings_json` wrote."""
    given = json.loads(text)
    hosts = tuple(given.pop("allowed_hosts", ()))
    return SyncSettings(**given, allowed_hosts=hosts)
