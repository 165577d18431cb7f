"""Console sessions in a document: read them, run them, compare what they say.

A fenced block marked ``console`` holds commands after ``$`` and what they print::

    $ etl audit
    every amount reconciles (... checks)

In shown output ``...`` stands for any run of text within a line, and a line that is only
``...`` for any number of lines. All sessions of a document share one folder, in order, as
they would for a reader who pastes them one after the other.

Run as ``python -m tests.tidy.transcript README.md`` it prints what each command really
says, ready to paste back.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.tidy.house import ROOT

BIN = Path(sys.executable).parent

ANY_TEXT = "..."

COLUMNS = 92
"""Width at which output is shown in documents."""

STEP_LIMIT_S = 300


@dataclass(frozen=True)
class Step:
    """One command of a session and what the document says it prints."""

    command: str
    shown: tuple[str, ...]
    line: int

    @property
    def words(self) -> list[str]:
        """The command as the shell would split it."""
        return shlex.split(self.command)

    @property
    def make_target(self) -> str | None:
        """The target of a ``make`` command (``help`` for a bare one)."""
        if self.words[0] != "make":
            return None
        return self.words[1] if len(self.words) > 1 else "help"


@dataclass(frozen=True)
class Said:
    """What a step really printed, both streams together, and how it ended."""

    step: Step
    status: int
    lines: tuple[str, ...]


def steps(markdown: str) -> list[Step]:
    """Every step of every console block, in order."""
    found: list[Step] = []
    inside = False
    for number, line in enumerate(markdown.splitlines(), 1):
        if line.startswith("```"):
            inside = line.strip() == "```console"
        elif inside and line.startswith("$ "):
            found.append(Step(line[2:].strip(), (), number))
        elif inside and found:
            last = found[-1]
            found[-1] = Step(last.command, (*last.shown, line.rstrip()), last.line)
    return [Step(step.command, _trimmed(step.shown), step.line) for step in found]


def is_true(shown: Sequence[str], said: Sequence[str]) -> bool:
    """Whether real output is what the document shows, dots standing for any text."""
    pattern = "".join(_line_pattern(line) for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in said)) is not None


def _line_pattern(line: str) -> str:
    if line.strip() == ANY_TEXT:
        return r"(?:.*\n)*"
    return ".*".join(map(re.escape, line.split(ANY_TEXT))) + r"\n"


def run(wanted: Sequence[Step]) -> Iterator[Said]:
    """Run steps one after the other in a new folder that looks like a clone.

    ``echo $?`` gives the status of the step before. Of a ``make`` target only its ``etl``
    commands are run: its set-up is running already, and tests do not start tests.
    """
    with tempfile.TemporaryDirectory(prefix="readme-") as name:
        folder = Path(name)
        for entry in ROOT.iterdir():
            if entry.name not in {"var", ".git"}:
                (folder / entry.name).symlink_to(entry)
        status = 0
        for step in wanted:
            if step.command == "echo $?":
                yield Said(step, 0, (str(status),))
                continue
            said = Said(step, 0, ())
            for command in commands_of(step):
                said = _and_then(said, _run_one(step, command, folder))
            status = said.status
            yield said


def commands_of(step: Step) -> list[list[str]]:
    """The programs a step starts; none for a make target that starts no ``etl``.

    Raises:
        ValueError: When a document shows a command that is neither etl nor make.
    """
    if step.make_target == "help":
        return [["make", "--no-print-directory"]]
    if step.make_target is not None:
        return [words for words in recipe(step.make_target) if _is_etl(words)]
    if _is_etl(step.words):
        return [step.words]
    message = f"line {step.line}: only etl, make and echo $? can be shown: {step.command}"
    raise ValueError(message)


def recipe(target: str) -> list[list[str]]:
    """The commands of a make target; fails when there is no such target."""
    shown = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = shown.stdout.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def _is_etl(words: Sequence[str]) -> bool:
    return bool(words) and words[0] in {"etl", ".venv/bin/etl"}


def _run_one(step: Step, words: Sequence[str], folder: Path) -> Said:
    program = BIN / "etl" if _is_etl(words) else Path(words[0])
    ended = subprocess.run(
        [program, *words[1:]],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=STEP_LIMIT_S,
        check=False,
    )
    lines = tuple(line.rstrip() for line in ended.stdout.splitlines())
    return Said(step, ended.returncode, _trimmed(lines))


def _environment() -> dict[str, str]:
    """The environment of a reader who has set nothing of ours."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("ETL_")
    }
    return {**kept, "COLUMNS": str(COLUMNS), "NO_COLOR": "1", "TERM": "dumb"}


def _and_then(first: Said, second: Said) -> Said:
    return Said(first.step, first.status or second.status, first.lines + second.lines)


def _trimmed(lines: tuple[str, ...]) -> tuple[str, ...]:
    end = len(lines)
    while end and not lines[end - 1]:
        end -= 1
    return lines[:end]


def main(document: str) -> None:
    """Print what each command of a document really says."""
    for said in run(steps(Path(document).read_text(encoding="utf-8"))):
        print(f"$ {said.step.command}", *said.lines, sep="\n")
        if said.status:
            print(f"(exit {said.status})")
        print()


if __name__ == "__main__":
    main(sys.argv[1])
