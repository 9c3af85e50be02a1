"""House rules that no off-the-shelf linter checks."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("studio", "editing", "policy", "storage")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
TOP_LEVEL = {
    "pyproject.toml", "studio", "editing", "policy", "storage", "tests", "migrations", "README.md",
    "Makefile", "LICENSE", "constraints.txt",
}  # fmt: skip
MAX_FILE_LINES = 420
MAX_FUNCTION_LINES = 60


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= MAX_FUNCTION_LINES, node.name


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_modules_are_named_after_what_they_hold(path: Path) -> None:
    assert path.stem not in {"utils", "helpers", "common", "misc", "manager", "base"}


@pytest.mark.parametrize("path", [each for each in SOURCES if each.name == "__init__.py"], ids=name)
def test_a_package_face_is_a_docstring_and_names(path: Path) -> None:
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
    if path == ROOT / "studio/cli/__init__.py" or path == ROOT / "studio/__init__.py":
        return  # the command line's entry point and the version live there
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert all(isinstance(node, allowed) for node in tree.body)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_nothing_else_lies_at_the_top() -> None:
    tops = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {top for top in tops if not top.startswith(".")} <= TOP_LEVEL


def test_no_file_names_a_machine_or_a_registry() -> None:
    machine = re.compile(r"/(?:work|root|home/\w+|opt)/|\.\./shared|(?:pypi|files\.pythonhosted)\.org")
    for path in tracked():
        if path.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ""} and path != Path(__file__):
            found = machine.search(path.read_text(errors="replace"))
            assert found is None, f"{name(path)}: {found and found[0]}"
