"""Every named point where a fault can be made to happen is one that is tried."""

import ast

from tests.faults.points import POINTS
from tests.tidy.house import name_of, python_files, tree


def passed_in_the_code() -> dict[str, str]:
    """Each named point, and the first place that passes it."""
    found: dict[str, str] = {}
    for path in python_files():
        for node in ast.walk(tree(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "failpoint"
                and not name_of(path).endswith("etl/failpoints.py")
            ):
                (name,) = node.args
                assert isinstance(name, ast.Constant), "a point has one plain name"
                found.setdefault(str(name.value), f"{name_of(path)}:{node.lineno}")
    return found


def test_the_long_fault_runs_try_every_named_point() -> None:
    untried = {
        name: place for name, place in passed_in_the_code().items() if name not in POINTS
    }
    assert untried == {}, "give each a flow in tests/faults/points.py"


def test_the_long_fault_runs_try_no_point_that_is_gone() -> None:
    assert set(POINTS) - set(passed_in_the_code()) == set()
