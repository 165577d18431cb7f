"""Set-up works from nothing, says what is missing, and installs only what is locked."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.tidy.house import ROOMS, ROOT, name_of, source_files

PIN = re.compile(r"^([\w.-]+(?:\[[\w,]+\])?)==([^\s;]+)", re.MULTILINE)
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-bench.lock")


def project() -> dict[str, dict[str, object]]:
    document: dict[str, dict[str, object]] = tomllib.loads(
        (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )
    return document


def pins(lock: str) -> dict[str, str]:
    found = PIN.findall((ROOT / lock).read_text(encoding="utf-8"))
    return {_plain(name): version for name, version in found}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[><=]", name)[0]).lower()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with nothing in it but what set-up reads."""
    (tmp_path / "tools").mkdir()
    for name in ("tools/setup", "pyproject.toml", *LOCKS):
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def set_up(
    clone: Path, *words: str, python: str | Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "tools" / "setup", *words],
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )


def stub(clone: Path, name: str, script: str) -> Path:
    path = clone / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_an_old_python_is_named_and_nothing_is_made(clone: Path) -> None:
    old = stub(clone, "python3.9", "exit 1")
    ended = set_up(clone, "runtime", python=old)
    assert ended.returncode == 2
    assert f"PYTHON={old} is not a Python of 3.11 or newer" in ended.stderr
    assert not (clone / ".venv").exists()


def test_a_python_without_venv_names_the_package_to_install(clone: Path) -> None:
    bare = stub(clone, "python3", 'case "$2" in *ensurepip*) exit 1 ;; esac')
    ended = set_up(clone, "runtime", python=bare)
    assert ended.returncode == 2
    assert "apt install python3-venv" in ended.stderr


def test_set_up_says_what_it_can_set_up(clone: Path) -> None:
    ended = set_up(clone, "everything", python="python3")
    assert ended.returncode == 2
    assert "runtime, dev or bench" in ended.stderr


FAKE_PYTHON = """
case "$*" in
    *"venv --clear"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *"--requirement"*) echo "packages $*" >>calls ;;
    *"--editable"*) echo project >>calls ;;
esac
"""


def calls(clone: Path) -> list[str]:
    lines = (clone / "calls").read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines]


def test_a_second_set_up_does_nothing(clone: Path) -> None:
    python = stub(clone, "python3", FAKE_PYTHON)
    assert set_up(clone, "runtime", python=python).returncode == 0
    assert set_up(clone, "runtime", python=python).returncode == 0
    assert calls(clone) == ["packages", "project"]
    assert "--require-hashes" in (clone / "calls").read_text(encoding="utf-8")


def test_set_up_for_development_is_enough_to_run_the_demo(clone: Path) -> None:
    python = stub(clone, "python3", FAKE_PYTHON)
    set_up(clone, "dev", python=python)
    set_up(clone, "runtime", python=python)
    assert calls(clone) == ["packages", "project"]


def test_what_the_benchmarks_need_stays_out_of_the_way(clone: Path) -> None:
    fake = FAKE_PYTHON.replace(
        'mkdir -p .venv/bin && cp "$0" .venv/bin/python',
        'mkdir -p "$4/bin" && cp "$0" "$4/bin/python"',
    )
    assert set_up(clone, "bench", python=stub(clone, "python3", fake)).returncode == 0
    assert (clone / ".venv-bench" / "bin" / "python").exists()
    assert not (clone / ".venv").exists()
    assert "requirements-bench.lock" in (clone / "calls").read_text(encoding="utf-8")


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_file_sets_up_again(clone: Path, changed: str) -> None:
    python = stub(clone, "python3", FAKE_PYTHON)
    set_up(clone, "runtime", python=python)
    with (clone / changed).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    set_up(clone, "runtime", python=python)
    assert calls(clone) == ["packages", "project"] * 2


def test_a_set_up_that_failed_is_not_taken_for_done(clone: Path) -> None:
    broken = FAKE_PYTHON.replace("echo project >>calls", "exit 1")
    assert set_up(clone, "runtime", python=stub(clone, "python3", broken)).returncode == 1
    stub(clone, ".venv/bin/python", FAKE_PYTHON)
    assert set_up(clone, "runtime", python=clone / "python3").returncode == 0
    assert calls(clone) == ["packages", "packages", "project"]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_its_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert len(PIN.findall(text)) == len(blocks)
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("lock", LOCKS[1:])
def test_tests_and_benchmarks_run_on_the_versions_that_bill(lock: str) -> None:
    assert pins("requirements.lock").items() <= pins(lock).items()


def test_every_declared_dependency_is_locked() -> None:
    declared = project()["project"]["dependencies"]
    assert isinstance(declared, list)
    needed = {_plain(name) for name in [*declared, "setuptools"]}
    assert needed <= set(pins("requirements.lock"))


def test_every_data_file_of_the_rooms_travels_with_the_package() -> None:
    settings = project()["tool"]["setuptools"]
    assert isinstance(settings, dict)
    shipped = {
        path
        for room, patterns in settings["package-data"].items()
        for pattern in patterns
        for path in (ROOT / room).glob(pattern)
    }
    left = [
        name_of(path)
        for path in source_files(*ROOMS)
        if path.suffix != ".py" and path.name[0] != "." and path not in shipped
    ]
    assert left == []


def test_every_target_of_the_makefile_is_listed_with_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    listed = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split()[1] for line in listed.stdout.splitlines()] == phony[1].split()


def test_the_gate_is_the_one_people_call() -> None:
    assert (
        (ROOT / ".ci" / "run").read_text(encoding="utf-8").endswith("\nmake check test\n")
    )
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert os.access(ROOT / "tools" / "setup", os.X_OK)
