"""What documents say is so: links lead somewhere, commands print what is shown."""

import re
from pathlib import Path

import pytest

from tests.tidy.house import ROOT, name_of, source_files
from tests.tidy.transcript import Said, Step, commands_of, is_true, recipe, run, steps

README = ROOT / "README.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
MENTION = re.compile(r"docs/[\w/.-]+\.md")
MAKE_WORD = re.compile(r"`make ([a-z]+)`")

OWN_TESTS = {"test", "check"}
"""Targets that run these very tests: a document may show no more than that they passed."""


def documents() -> list[Path]:
    return [path for path in source_files() if path.suffix == ".md"]


def readme_steps() -> list[Step]:
    return steps(README.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def readme_run() -> dict[int, Said]:
    """Every command of the README, run once, by the line it stands on."""
    return {said.step.line: said for said in run(readme_steps())}


@pytest.mark.parametrize("step", readme_steps(), ids=lambda step: step.command)
def test_a_command_shown_in_the_readme_prints_what_is_shown(
    step: Step, readme_run: dict[int, Said]
) -> None:
    said = readme_run[step.line]
    if step.make_target in OWN_TESTS:
        assert all(line == "..." or "passed" in line for line in step.shown)
        return
    assert is_true(step.shown, said.lines), "\n".join(said.lines)


@pytest.mark.parametrize("step", readme_steps(), ids=lambda step: step.command)
def test_a_command_shown_in_the_readme_ends_well_or_its_exit_code_is_shown(
    step: Step, readme_run: dict[int, Said]
) -> None:
    after = [other for other in readme_steps() if other.line > step.line]
    is_told = bool(after) and after[0].command == "echo $?"
    assert readme_run[step.line].status == 0 or is_told


def test_the_readme_starts_with_the_two_commands() -> None:
    first_screen = README.read_text(encoding="utf-8").splitlines()[:60]
    assert {"make demo", "make test"} <= {
        target
        for line in first_screen
        for target in re.findall(r"make (?:demo|test)", line)
    }


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_every_make_target_in_a_document_exists(path: Path) -> None:
    for target in MAKE_WORD.findall(path.read_text(encoding="utf-8")):
        assert recipe(target) != []


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_every_link_in_a_document_leads_somewhere(path: Path) -> None:
    links = LINK.findall(path.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (path.parent / link).exists()] == []


def test_every_page_named_in_the_code_exists() -> None:
    missing = [
        f"{name_of(path)}: {page}"
        for path in source_files()
        if path.suffix in {".py", ".sql", ".toml", ".md"}
        for page in MENTION.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / page).is_file()
    ]
    assert missing == []


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [path.name[:4] for path in DECISIONS]
    assert numbers == [f"{number:04d}" for number in range(1, len(DECISIONS) + 1)]


@pytest.mark.parametrize("path", DECISIONS, ids=name_of)
def test_a_decision_says_context_choice_and_consequence(path: Path) -> None:
    titles = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert titles == ["Context", "Choice", "Consequence"]


@pytest.mark.parametrize("path", DECISIONS, ids=name_of)
def test_the_architecture_page_points_to_every_decision(path: Path) -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert f"decisions/{path.name}" in page


# The reader of sessions itself.


def test_dots_stand_for_any_text_within_a_line_or_for_any_lines() -> None:
    said = ["42 files in 1.7 s", "one", "two", "done"]
    assert is_true(["42 files in ... s", "...", "done"], said)
    assert is_true(["..."], said)
    assert not is_true(["42 files in ... s", "done"], said)
    assert not is_true(["41 files in ... s", "...", "done"], said)
    assert not is_true([], said)


def test_a_session_is_read_as_commands_with_what_follows_them() -> None:
    text = "intro\n```console\n$ etl audit\nfine\n\n$ make demo\n```\n```sh\n$ no\n```\n"
    assert steps(text) == [Step("etl audit", ("fine",), 3), Step("make demo", (), 6)]


def test_a_document_shows_only_commands_that_can_be_run_here() -> None:
    with pytest.raises(ValueError, match="line 7: only etl, make"):
        commands_of(Step("curl example", (), 7))


def test_make_demo_is_known_by_the_etl_command_it_runs() -> None:
    assert commands_of(Step("make demo", (), 1)) == [[".venv/bin/etl", "demo"]]
    assert commands_of(Step("make test", (), 1)) == []
