"""Statements of the tests' own, found by path as those of ``sql/`` are."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from loaders import database
from sql import statement

ADD = """
INSERT INTO customer (customer_id, name, timezone, cycle_day, currency, details)
VALUES (:customer_id, :name, 'Europe/Amsterdam', 1, 'EUR', :details);
"""
OF_TESTS: Mapping[str, str] = {
    "any/test/add": ADD,
    "any/test/rename": "UPDATE customer SET name = :name WHERE customer_id = :customer_id;",
    "any/test/names": "SELECT customer_id, name FROM customer ORDER BY customer_id;",
    "any/test/some": """
SELECT customer_id, name FROM customer
WHERE customer_id IN :ids AND name <> :not_this ORDER BY customer_id;
""",
    "any/test/texts": "SELECT line_no, raw FROM rejected_record ORDER BY line_no;",
    "any/test/records": """
SELECT customer_id, call_date, cost_micros, zone FROM call_detail_record
ORDER BY customer_id, call_date;
""",
    "any/test/days": """
SELECT customer_id, cycle_start_date, marked_at FROM dirty_cycle ORDER BY customer_id;
""",
    "any/test/add_dirty": """
INSERT INTO dirty_cycle
    (customer_id, cycle_start_date, cycle_end_date, mark, reason)
VALUES (:customer_id, :start, :end, 1, :reason);
""",
    "any/test/of_day": "SELECT customer_id FROM dirty_cycle WHERE cycle_start_date = :day;",
    "any/test/subscribe": "INSERT INTO subscription (kind, identifier, customer_id)"
    " VALUES ('number', :identifier, 1);",
    "any/test/share": """
SELECT customer_id, '50%' AS share FROM customer WHERE name = :name;
""",
    "mysql/test/sleep_long": "SELECT sleep(20) AS slept;",
    "mysql/test/count_long": """
SELECT count(*) AS counted FROM seq_1_to_1000000 AS a, seq_1_to_1000000 AS b;
""",
    "mysql/test/load_file": "LOAD DATA LOCAL INFILE :path INTO TABLE sync_task (message);",
    "mysql/test/short_texts": "SET SESSION group_concat_max_len = 50;",
    "any/test/nonsense": "SELEKT 1;",
}
"""By path; each runs on both databases."""


@contextmanager
def statements_of_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the database look up these statements as well."""

    def read(path: str) -> str:
        if "/test/" not in path:
            return statement(path)
        if path not in OF_TESTS:
            raise FileNotFoundError(path)
        return OF_TESTS[path]

    monkeypatch.setattr(database, "statement", read)
    database.clause_at.cache_clear()
    yield
    database.clause_at.cache_clear()
