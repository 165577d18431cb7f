"""``etl invoice:*`` as a person gives it: words, JSON, exit codes and files."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.chains import InvoiceCollected
from etl.commands.setup import TEMPLATE
from etl.handlers import bus_of
from etl.settings import load_settings
from etl.stopping import STOP
from tests.flow.import_world import ANNA, BERT, EXAMPLES, World, call
from tests.flow.invoice_world import bring
from tests.flow.operator_world import Desk
from transforms.errors import ConfigError

GIVE_ADDRESSES = (
    'UPDATE customer SET details = \'{"street": "Dorpsstraat 1", "postcode":'
    ' "1234 AB", "city": "Ede", "kvk": "12345670"}\''
)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as world:
        world.own({ANNA: 1, BERT: 2})
        world.do(GIVE_ADDRESSES)
        yield world


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world.url, world.folder)


AS_OF = ("--as-of", "2025-02-03")


def files(world: World) -> list[str]:
    folder = world.folder / "storage" / "invoices"
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_run_issues_writes_and_tells(world: World, desk: Desk) -> None:
    bring(world, [call("1", Totaaltarief="1000"), call("2", BERT)])

    ended = desk.etl("invoice:new", "--due", *AS_OF)

    assert ended.code == 0
    assert "put your own into [supplier]" in ended.out
    assert "F2025-000001         1  2025-01-01  10.00  2.10   12.10" in ended.out
    assert "2 issued" in ended.out
    assert "12 documents of 2 invoices" in ended.out
    endings = ("calls.json", "csv", "html", "json", "pdf", "xml")
    assert files(world) == [f"F2025-00000{no}.{end}" for no in (1, 2) for end in endings]


def test_a_second_run_changes_no_file(world: World, desk: Desk) -> None:
    bring(world, [call("1", Totaaltarief="1000"), call("2", BERT)])
    desk.etl("invoice:new", "--due", *AS_OF)
    folder = world.folder / "storage" / "invoices" / "2025"
    first = {path.name: path.read_bytes() for path in folder.iterdir()}

    assert desk.etl("invoice:new", "--due", *AS_OF).out.endswith("Nothing is due.\n")
    again = desk.etl("invoice:documents", "--all", "--json")

    assert again.code == 0
    assert [each["number"] for each in again.document["documents"]] == [
        "F2025-000001",
        "F2025-000002",
    ]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_what_was_kept_back_makes_exit_code_1_and_says_why(
    world: World, desk: Desk
) -> None:
    bring(world, [call("1", Totaaltarief="1000"), call("2", BERT)])
    world.do(
        "INSERT INTO dirty_cycle (customer_id, cycle_start_date, cycle_end_date, mark,"
        " reason) VALUES (2, '2025-01-01', '2025-02-01', 1, 'late')"
    )
    ended = desk.etl("invoice:new", "--due", *AS_OF, "--json", "--no-documents")
    assert ended.code == 1
    assert ended.document["counts"] == {"issued": 1, "blocked": 1}
    blocked = ended.document["cycles"][1]
    assert (blocked["customer_id"], blocked["status"]) == (2, "blocked")
    assert blocked["reasons"] == [
        {
            "code": "dirty",
            "message": "records came or went since its totals; run: etl totals:dispatch",
            "blocking": True,
        }
    ]
    assert files(world) == []


def test_a_dry_run_says_what_would_be_issued(world: World, desk: Desk) -> None:
    bring(world, [call("1", Totaaltarief="1000")])
    words = ("invoice:new", "--customer", "1", "--cycle", "2025-01-15", *AS_OF, "--dry-run")
    ended = desk.etl(*words, "--json")
    assert ended.code == 0
    assert ended.document["dry_run"] is True
    assert ended.document["cycles"][0]["invoice"] == {
        "kind": "invoice",
        "refers_to": [],
        "currency": "EUR",
        "usage_micros": 10_000_000,
        "charges_micros": 0,
        "rounding_micros": 0,
        "net": "10.00",
        "vat": "2.10",
        "gross": "12.10",
    }
    assert "Nothing was written." in ended.err
    assert world.rows("SELECT count(*) FROM invoice") == [(0,)]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--customer", "1"),
        ("--due", "--customer", "1"),
        ("--customer", "9", "--cycle", "2025-01-01"),
    ],
)
def test_half_a_question_is_refused(desk: Desk, words: tuple[str, ...]) -> None:
    assert desk.etl("invoice:new", *words).code == 2


def test_an_invoice_is_shown_and_listed(world: World, desk: Desk) -> None:
    bring(world, [call("1", Totaaltarief="1000"), call("2", BERT)])
    desk.etl("invoice:new", "--due", *AS_OF, "--no-documents")

    shown = desk.etl("invoice:show", "F2025-000001")
    assert shown.code == 0
    assert "Bellen" in shown.out
    assert "net 10.00, VAT 2.10, to pay 12.10 EUR by 2025-03-05" in shown.out
    document = desk.etl("invoice:show", "F2025-000001", "--json").document
    assert document["usage_micros"] == 10_000_000
    assert document["customer"]["city"] == "Ede"
    assert desk.etl("invoice:show", "F2025-000009").code == 2

    listed = desk.etl("invoice:list", "--customer", "2", "--json").document["invoices"]
    assert [each["invoice_number"] for each in listed] == ["F2025-000002"]
    assert "F2025-000002" in desk.etl("invoice:list", "--cycle", "2025-01-31").out
    assert desk.etl("invoice:list", "--kind", "credit", "--json").document == {
        "invoices": []
    }


def test_a_credit_note_is_issued_by_name_and_with_a_reason(
    world: World, desk: Desk
) -> None:
    bring(world, [call("1", Totaaltarief="1000")])
    desk.etl("invoice:new", "--due", *AS_OF, "--no-documents")

    who = ("--by", "Ann", "--reason", "verkeerd adres")
    ended = desk.etl("invoice:credit", "F2025-000001", *who, *AS_OF)

    assert ended.code == 0
    assert "-12.10" in ended.out
    assert "F2025-000002.html" in files(world)
    assert "F2025-000002.csv" not in files(world)
    assert desk.etl("invoice:credit", "F2025-000001", *who, *AS_OF).code == 2
    assert (
        desk.etl("invoice:credit", "F2025-000002", "--by", "A\nB", "--reason", "x").code
        == 2
    )
    assert desk.etl("audit").code == 0


def test_a_customer_without_an_address_has_no_ubl_and_everything_else(
    world: World, desk: Desk
) -> None:
    world.do("UPDATE customer SET details = '{}'")
    bring(world, [call("1", Totaaltarief="1000")])
    ended = desk.etl("invoice:new", "--due", *AS_OF)
    assert ended.code == 0
    assert "no xml: F2025-000001 cannot be written as UBL: customer 1: kvk" in ended.out
    assert [name.partition(".")[2] for name in files(world)] == [
        "calls.json",
        "csv",
        "html",
        "json",
        "pdf",
    ]


def test_a_role_decides_what_a_specification_shows(world: World, desk: Desk) -> None:
    bring(world, [call("1", Totaaltarief="1000")])
    desk.etl("invoice:new", "--due", *AS_OF)
    path = world.folder / "storage" / "invoices" / "2025" / "F2025-000001.csv"
    assert "31200000xxx" in path.read_text(encoding="utf-8")
    calls = json.loads(path.with_suffix(".calls.json").read_text(encoding="utf-8"))
    assert calls["calls"][0]["other"] == "+31200000xxx"
    words = ("F2025-000001", "--format", "csv", "--role", "billing")
    assert desk.etl("invoice:documents", *words).code == 0
    assert "31200000021" in path.read_text(encoding="utf-8")
    assert desk.etl("invoice:documents", "F2025-000001", "--all").code == 2
    assert desk.etl("invoice:documents", "F2025-000009").code == 2


# --- what providers charge ----------------------------------------------------------------


def test_what_a_delivery_says_and_is_charged_is_compared(world: World) -> None:
    # Six records of 0.11 together; the owner of four of them is not known.
    world.own({"31600000071": 1})
    row = world.load(EXAMPLES / "TMO_CALVI_AC9_202610_0007.tsv", "tmobile_calvi")
    for _ in range(2):
        bus_of(world.app).run(InvoiceCollected(row.id), world.app.stop)

    ((kind, severity, provider, evidence),) = world.table(
        "billing_insight", "kind", "severity", "provider", "evidence"
    )
    assert (kind, severity, provider) == ("provider_invoice", "info", "tmobile_calvi")
    assert json.loads(evidence) == {
        "import_id": 1,
        "file_name": "TMO_CALVI_AC9_202610_0007.tsv",
        "control_micros": 110_000,
        "charged_micros": 0,
        "difference_micros": -110_000,
        "duplicates": 0,
        "conflicts": 0,
        "rejected": 0,
        "suspended": 4,
    }


def test_a_delivery_that_is_charged_whole_is_no_insight(world: World) -> None:
    world.own({"31600000071": 1, "31600000072": 1, "3197000000074": 2})
    row = world.load(EXAMPLES / "TMO_CALVI_AC9_202610_0007.tsv", "tmobile_calvi")
    bus_of(world.app).run(InvoiceCollected(row.id), world.app.stop)
    assert row.outcome.cost_micros == 110_000
    assert world.table("billing_insight", "kind") == []


def test_what_a_providers_own_invoice_says_is_compared_with_the_records(
    world: World, desk: Desk
) -> None:
    world.own({"31600000071": 1, "31600000072": 1, "3197000000074": 2})
    row = world.load(EXAMPLES / "TMO_CALVI_AC9_202610_0007.tsv", "tmobile_calvi")
    words = ("provider:invoice-total", "--import", str(row.id), "--number", "TM-88")
    who = ("--by", "A. Jansen")
    early = desk.etl(*words, *who, "--amount", "0.11")
    assert early.code == 2
    assert "nothing was worked out for import 1 yet" in early.err
    bus_of(world.app).run(InvoiceCollected(row.id), world.app.stop)

    tried = desk.etl(*words, *who, "--amount", "0.15", "--dry-run")
    assert "the records come to 0.110000; difference -0.040000" in tried.out
    assert world.table("import_decision", "decision") == []
    ended = desk.etl(*words, *who, "--amount", "0.15", "--json")

    assert ended.code == 0
    assert ended.document == {
        "import_id": 1,
        "provider": "tmobile_calvi",
        "provider_invoice": "TM-88",
        "currency": "EUR",
        "invoiced_micros": 150_000,
        "charged_micros": 110_000,
        "difference_micros": -40_000,
        "dry_run": False,
    }
    assert world.table(
        "import_decision", "decision", "decided_by", "cost_micros", "reason"
    ) == [("invoice_total", "A. Jansen", 150_000, "TM-88")]
    ((kind, severity, evidence),) = world.table(
        "billing_insight", "kind", "severity", "evidence"
    )
    assert (kind, severity) == ("provider_invoice", "warning")
    assert json.loads(evidence) == {
        "import_id": 1,
        "file_name": "TMO_CALVI_AC9_202610_0007.tsv",
        "provider_invoice": "TM-88",
        "invoiced_micros": 150_000,
        "charged_micros": 110_000,
        "difference_micros": -40_000,
        "duplicates": 0,
        "conflicts": 0,
        "rejected": 0,
        "suspended": 0,
    }


def test_a_providers_invoice_that_says_what_the_records_do_is_no_insight(
    world: World, desk: Desk
) -> None:
    world.own({"31600000071": 1, "31600000072": 1, "3197000000074": 2})
    row = world.load(EXAMPLES / "TMO_CALVI_AC9_202610_0007.tsv", "tmobile_calvi")
    bus_of(world.app).run(InvoiceCollected(row.id), world.app.stop)
    words = ("provider:invoice-total", "--import", "1", "--number", "TM-88", "--by", "Ann")
    assert "no difference" in desk.etl(*words, "--amount", "0.11").out
    assert world.table("billing_insight", "kind") == []
    for amount in ("0,11", "1e3", "0.1234567", ""):
        assert desk.etl(*words, "--amount", amount).code == 2
    assert desk.etl(*words[:-1], "A\nB", "--amount", "0.11").code == 2


def test_an_import_that_is_worked_out_anew_is_compared_with_what_was_told(
    world: World, desk: Desk
) -> None:
    world.own({"31600000071": 1})
    row = world.load(EXAMPLES / "TMO_CALVI_AC9_202610_0007.tsv", "tmobile_calvi")
    bus_of(world.app).run(InvoiceCollected(row.id), world.app.stop)
    words = ("provider:invoice-total", "--import", "1", "--number", "TM-88", "--by", "Ann")
    desk.etl(*words, "--amount", "0.05")
    desk.etl(*words, "--amount", "0.00")  # mended: what was told last counts

    world.do("UPDATE call_detail_record SET cost_micros = 10000 WHERE line_no = 2")
    bus_of(world.app).run(InvoiceCollected(row.id), world.app.stop)

    told = [json.loads(text) for (text,) in world.table("billing_insight", "evidence")]
    compared = [
        (each["invoiced_micros"], each["charged_micros"])
        for each in told
        if "invoiced_micros" in each
    ]
    assert sorted(compared) == [(0, 10_000), (50_000, 0)]


# --- charges beside usage -----------------------------------------------------------------


CHARGES = """\
customer_id,kind,name,amount,quantity,valid_from,valid_to
1,recurring,Abonnement,25.00,2,2025-01-01,
1,one_off,Aansluiting,10.00,,2025-01-20,
1,discount,Korting,-5.00,,,2025-02-01
1,recurring,Verlopen,99.00,,,2025-01-01
1,one_off,Later,99.00,,2025-02-01,
2,recurring,Alleen abonnement,7.50,,,
"""


def test_charges_stand_on_the_invoices_of_their_cycle(world: World, desk: Desk) -> None:
    file = world.folder / "charges.csv"
    file.write_text(CHARGES, encoding="utf-8")
    assert desk.etl("invoice:charges", str(file), "--dry-run").code == 0
    assert world.rows("SELECT count(*) FROM customer_charge") == [(0,)]
    told = desk.etl("invoice:charges", str(file), "--json")
    assert told.document == {"charges": 6, "customers": 2, "dry_run": False}
    bring(world, [call("1", Totaaltarief="1000")])

    desk.etl("invoice:new", "--due", *AS_OF, "--no-documents")

    first = desk.etl("invoice:show", "F2025-000001", "--json").document
    assert [(line["name"], line["amount_cents"]) for line in first["lines"]] == [
        ("Bellen", 1000),
        ("Abonnement", 2500),
        ("Aansluiting", 1000),
        ("Korting", -500),
    ]
    assert (first["usage_micros"], first["charges_micros"]) == (10_000_000, 30_000_000)
    second = desk.etl("invoice:show", "F2025-000002", "--json").document
    assert (second["customer_id"], second["net_cents"], second["usage_micros"]) == (
        2,
        750,
        0,
    )
    assert desk.etl("audit").code == 0


def test_a_charge_of_an_unknown_customer_is_refused(world: World, desk: Desk) -> None:
    file = world.folder / "charges.csv"
    file.write_text(CHARGES.replace("\n2,", "\n9,"), encoding="utf-8")
    ended = desk.etl("invoice:charges", str(file))
    assert ended.code == 2
    assert "charges.csv line 7 column customer_id: there is no customer 9" in ended.err


def test_a_run_that_is_asked_to_stop_ends_after_a_commit(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(world, [call("1", Totaaltarief="1000"), call("2", BERT)])
    monkeypatch.setattr(STOP, "is_asked", lambda: True)
    ended = desk.etl("invoice:new", "--due", *AS_OF)
    assert ended.code == 143
    assert "stopped after 2 invoices" in ended.err
    assert world.rows("SELECT count(*) FROM invoice") == [(2,)]
    assert files(world) == []

    assert desk.etl("invoice:documents", "--all").code == 143
    assert len(files(world)) == 6

    monkeypatch.undo()
    assert desk.etl("invoice:documents", "--all").code == 0
    assert len(files(world)) == 12


def test_the_settings_of_a_new_set_up_are_all_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uncommented = [
        line.removeprefix("# ") if " = " in line else line for line in TEMPLATE.splitlines()
    ]
    (tmp_path / "etl.toml").write_text("\n".join(uncommented), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.supplier.name == "Uw Telecom BV"
    assert settings.invoice.series == "F"
    assert settings.retention.raw_days == 180


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[supplier]\nnaem = "x"', "supplier.naem: unknown key, did you mean name?"),
        ('[invoice]\nserie = "F"', "invoice.serie: unknown key, did you mean series?"),
        ('[invoice]\nseries = "f1"', "invoice.series"),
        ('[invoice]\nvat_rate = "21%"', "invoice.vat_rate"),
        ("[retention]\nraw_days = -1", "retention.raw_days"),
        ('[supplier]\nkvk = "123"', "supplier.kvk"),
    ],
)
def test_a_wrong_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    (tmp_path / "etl.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert told in str(caught.value)
