"""Settings: read once at the command line, passed down as plain values.

Effects: reads the environment and ``etl.toml``. Order: flags, then environment ``ETL_*``,
then secret files (``/run/secrets`` or ``ETL_SECRETS_DIR``), then ``etl.toml``, then the
defaults below. An unknown key in the file is an error, also in a nested table.
"""

import os
from difflib import get_close_matches
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from transforms.errors import ConfigError
from transforms.money import RoundingMode

SETTINGS_FILE = "etl.toml"


class Limits(BaseModel):
    """A limit on everything that comes from outside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    download_mb: int = Field(8192, ge=1)
    """Largest delivery accepted, in megabytes of decoded bytes."""
    download_seconds: int = Field(3600, ge=1)
    """Total time for one download."""
    minimum_bytes_per_s: int = Field(1024, ge=0)
    """A download slower than this for a minute is given up."""
    duckdb_memory_mb: int = Field(768, ge=64)
    """Memory for totals; beyond it DuckDB spills to the storage folder."""


class Supplier(BaseModel):
    """Who issues the invoices: ``[supplier]``. As shipped it is the demo's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "Voorbeeld Telecom BV"
    street: str = "Voorbeeldstraat 1"
    postcode: str = "1234 AB"
    city: str = "Amsterdam"
    country: str = Field("NL", pattern=r"^[A-Z]{2}$")
    vat_number: str = "NL001234567B01"
    kvk: str = Field("12345678", pattern=r"^([0-9]{8})?$")
    """Number in the Dutch trade register."""
    oin: str = Field("", pattern=r"^([0-9]{20})?$")
    """Number of a Dutch public body."""
    iban: str = "NL91ABNA0417164300"
    bic: str = ""
    email: str = "facturen@voorbeeld.example"
    phone: str = ""


class Invoicing(BaseModel):
    """How invoices are made: ``[invoice]``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    series: str = Field("F", pattern=r"^[A-Z]{1,8}$")
    """What invoice numbers begin with: ``F2026-000001``."""
    payment_days: int = Field(30, ge=0, le=365)
    vat_rate: str = Field("21", pattern=r"^([0-9]{1,2}([.,][0-9]{1,2})?|100)$")
    """Percent, for customers whose details and plan say nothing else."""
    vat_rounding: Literal["invoice", "line"] = "invoice"
    rounding: RoundingMode = "half-up"
    """How micros become cents, and VAT whole cents."""
    language: Literal["nl", "en"] = "nl"
    suspended_limit: int = Field(0, ge=0)
    """Records of a customer's numbers that may wait for an owner."""
    missing_delivery: Literal["warn", "block", "ignore"] = "warn"
    """When a provider delivered for the cycle before and not for this one."""


class Retention(BaseModel):
    """How long personal data is kept: ``[retention]``. 0 keeps it for ever."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    raw_days: int = Field(180, ge=0)
    """Raw lines of rejected, suspended and conflicting records."""
    cdr_days: int = Field(0, ge=0)
    """Itemised records, counted from the end of their cycle."""
    delivery_days: int = Field(0, ge=0)
    """Delivered files in storage, counted from their import."""


class Insights(BaseModel):
    """From where on something is worth a look: ``[insights]``.

    Amounts (``_amount``) are whole units of the customer's currency.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    history_cycles: int = Field(3, ge=1, le=24)
    """The cycles before that a cycle is held against."""
    jump_percent: int = Field(200, ge=101)
    """A cycle that costs so much of the usual …"""
    jump_amount: int = Field(25, ge=0)
    """… and so much more, is a jump."""
    new_use_amount: int = Field(1, ge=0)
    """From what cost on a first premium use, or a first country, is told."""
    loss_amount: int = Field(1, ge=0)
    """From what loss on a cycle is told."""
    allowance_percent: int = Field(90, ge=1, le=100)
    """An allowance used so far is nearly used."""
    unused_percent: int = Field(10, ge=0, le=99)
    """An allowance of an ended cycle used no further is unused."""
    silent_cycles: int = Field(3, ge=1, le=24)
    """A line without use in so many ended cycles is silent."""
    burst_minutes: int = Field(60, ge=1, le=1440)
    """So many minutes …"""
    burst_calls: int = Field(20, ge=2)
    """… with so many premium, foreign or dear calls of one line …"""
    burst_amount: int = Field(10, ge=0)
    """… that cost so much, are a burst."""
    dear_call_amount: int = Field(5, ge=1)
    """A call of so much is dear, wherever it went."""
    unmatched_records: int = Field(1, ge=1)
    """Records of one provider that may not wait for an owner without a word."""
    duplicate_percent: int = Field(10, ge=1, le=100)
    """Share of a delivery that came before …"""
    duplicate_records: int = Field(100, ge=1)
    """… and how many records that must be at least."""
    missing_days: int = Field(5, ge=0)
    """Days after the end of a cycle until a provider that brought nothing is missed."""
    late_days: int = Field(2, ge=1)
    """Days beyond the longest usual gap until a delivery is late."""
    home_countries: tuple[str, ...] = ("NL", "NLD", "Nederland", "Netherlands")
    """What providers call the country in which use is not roaming."""
    home_network: str = Field("204", pattern=r"^[0-9]{3,6}$")
    """How the networks at home begin, where a record names no country."""


class Settings(BaseSettings):
    """Everything a person can set."""

    model_config = SettingsConfigDict(
        env_prefix="ETL_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        toml_file=SETTINGS_FILE,
    )

    database_url: str = Field("sqlite:///var/etl.db", repr=False)
    """SQLAlchemy URL: ``sqlite:///…`` or ``mysql+mysqlconnector://user:secret@host/db``."""
    storage: Path = Path("var/storage")
    """Folder that keeps delivered files and temporary work."""
    providers: Path = Path("providers")
    """Folder with provider profiles of your own (TOML); they go before the shipped ones."""
    lease_seconds: int = Field(120, ge=1)
    """How long a silent worker keeps its work before another takes it over."""
    batch_rows: int = Field(1000, ge=1, le=1_000_000)
    """Records in one LOAD DATA and one ledger row."""
    batches_per_commit: int = Field(50, ge=1)
    """Ledgered batches in one transaction."""
    load_connections: int = Field(2, ge=1, le=8)
    """Commits of one import at the same time, where the database gains by it (MySQL)."""
    chunk_rows: int = Field(40_000, ge=1)
    """Records read, normalised and sorted at a time."""
    executor: str = "serial"
    """Where work that can be shared out runs: ``serial``, ``threads:N``, ``processes:N`` or
    ``dask://HOST:PORT``."""
    limits: Limits = Limits()
    supplier: Supplier = Supplier()
    invoice: Invoicing = Invoicing()
    retention: Retention = Retention()
    insights: Insights = Insights()

    @field_validator("executor")
    @classmethod
    def _known_executor(cls, text: str, others: ValidationInfo) -> str:
        from etl.executors import read_spec  # only where one is asked for: it is heavy

        try:
            asked = read_spec(text)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        url = str(others.data.get("database_url"))
        if asked.kind == "dask" and url.startswith("sqlite"):
            message = (
                f"executor {text!r}: SQLite is a file of this machine; put the data in "
                "MySQL or MariaDB, or use processes:N"
            )
            raise ValueError(message)
        return text

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put ``etl.toml`` below the environment and above the defaults."""
        toml = TomlConfigSettingsSource(settings_cls)
        return init_settings, env_settings, file_secret_settings, toml


def load_settings(**flags: object) -> Settings:
    """Read the settings; flags that are None do not count.

    Raises:
        ConfigError: One message with every unknown key and wrong value, with near misses.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    secrets = Path(os.environ.get("ETL_SECRETS_DIR", "/run/secrets"))
    try:
        return Settings(_secrets_dir=secrets if secrets.is_dir() else None, **given)  # type: ignore[arg-type]  # pydantic checks the flags itself
    except TOMLDecodeError as exc:
        message = f"{SETTINGS_FILE}: not valid TOML: {exc}"
        raise ConfigError(message) from exc
    except ValidationError as exc:
        faults = "; ".join(_fault(error["loc"], error["msg"]) for error in exc.errors())
        message = f"settings ({SETTINGS_FILE} or environment ETL_*): {faults}"
        raise ConfigError(message) from exc


def _fault(location: tuple[int | str, ...], problem: str) -> str:
    path = ".".join(str(part) for part in location)
    if "not permitted" not in problem:
        return f"{path}: {problem.removeprefix('Value error, ')}"
    tables = {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    table = tables.get(str(location[0])) if len(location) > 1 else None
    known = Settings.model_fields if table is None else table.model_fields
    near = get_close_matches(str(location[-1]), list(known), n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    return f"{path}: unknown key{hint}"
