"""The project as the tidy tests read it: its rooms, its files, its parsed Python."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ROOMS = ("etl", "loaders", "transforms", "sql")

NOT_OURS = {".git", ".venv", ".venv-bench", "var", "build", "__pycache__"}
"""What holds no source: what tools leave behind, and an operator's data."""


def name_of(path: Path) -> str:
    """The path as people say it, from the project's root."""
    return path.relative_to(ROOT).as_posix()


def source_files(*folders: str) -> list[Path]:
    """Every file of the project below ``folders`` (all of it when none is named)."""
    roots = [ROOT / folder for folder in folders] or [ROOT]
    return sorted(path for root in roots for path in _walk(root))


def _walk(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_symlink() or path.name in NOT_OURS:
            continue
        if path.is_dir() and not _is_leftover(path):
            yield from _walk(path)
        elif path.is_file() and not path.name.startswith(".coverage"):
            yield path


def _is_leftover(folder: Path) -> bool:
    name = folder.name
    return (
        name in NOT_OURS or name.endswith(("_cache", ".egg-info")) or name == ".hypothesis"
    )


def python_files(*folders: str) -> list[Path]:
    """Every Python file below ``folders`` (all rooms when none is named)."""
    return [path for path in source_files(*(folders or ROOMS)) if path.suffix == ".py"]


def sql_files() -> list[Path]:
    """Every statement of the sql room."""
    return [path for path in source_files("sql") if path.suffix == ".sql"]


@cache
def tree(path: Path) -> ast.Module:
    """The parsed module at ``path``."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=name_of(path))


def imported_modules(path: Path) -> set[str]:
    """Top-level names of everything the module at ``path`` imports, wherever it does."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and value of every string in the module that is not a docstring."""
    docstrings = {id(node) for node in _docstrings(tree(path))}
    for node in ast.walk(tree(path)):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ):
            yield node.lineno, node.value


def _docstrings(module: ast.Module) -> Iterator[ast.expr]:
    """Strings that stand as statements: docstrings, and notes below a constant."""
    for node in ast.walk(module):
        match node:
            case ast.Expr(value=ast.Constant() as said):
                yield said
