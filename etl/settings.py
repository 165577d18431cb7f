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

from pydantic import BaseModel, ConfigDict, Field, ValidationError
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
    chunk_rows: int = Field(50_000, ge=1)
    """Records read, normalised and sorted at a time."""
    limits: Limits = Limits()
    supplier: Supplier = Supplier()
    invoice: Invoicing = Invoicing()
    retention: Retention = Retention()

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
        return f"{path}: {problem}"
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
