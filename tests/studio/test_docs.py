"""The README stays true: its settings, its commands and its files exist, and nothing that exists is missing."""

import json
import re
from pathlib import Path
from typing import Any

import typer.main
from pydantic_core import PydanticUndefined

from studio.cli import app
from studio.settings import Settings
from tests.studio import matrix

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def table(marker: str) -> list[list[str]]:
    """Rows of the table after a marker, without its head."""
    lines = README.split(f"<!-- {marker}: ")[1].split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def shown(value: Any) -> str:
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, dict | tuple | bool):
        return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"
    return f"`{value}`"


def test_every_setting_is_in_the_readme_with_its_default_and_meaning() -> None:
    fields = Settings.model_fields
    expected = [
        [f"`STUDIO_{name.upper()}`", shown(field.get_default(call_default_factory=True)), field.description]
        for name, field in fields.items()
    ]
    assert table("settings") == expected


def commands(group: Any, prefix: str) -> list[str]:
    found = []
    for name, command in group.commands.items():
        path = f"{prefix} {name}"
        found += commands(command, path) if hasattr(command, "commands") else [path]
    return found


def test_every_command_is_in_the_readme_and_has_help() -> None:
    group = typer.main.get_command(app)
    documented = [row[0].strip("`") for row in table("commands")]
    assert sorted(documented) == sorted(commands(group, "studio"))


def test_every_option_has_a_help_text() -> None:
    def walk(command: Any, path: str) -> None:
        assert command.help, path
        for parameter in command.params:
            if getattr(parameter, "hidden", False) or parameter.name == "help":
                continue
            assert getattr(parameter, "help", None), f"{path} {parameter.name}"
        for name, child in getattr(command, "commands", {}).items():
            walk(child, f"{path} {name}")

    walk(typer.main.get_command(app), "studio")


def test_links_and_make_targets_exist() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_files_named_in_the_readmes_exist() -> None:
    for readme in (
        ROOT / "README.md",
        *(ROOT / room / "README.md" for room in ("studio", "editing", "policy", "storage")),
    ):
        for name in re.findall(r"`((?:tests|studio|editing|policy|storage|migrations)/[\w./-]+)`", readme.read_text()):
            assert (ROOT / name).exists(), f"{readme}: {name}"


def test_the_table_of_operations_and_families_is_that_of_the_matrix() -> None:
    """To write it anew: `python -c "from tests.studio import matrix; print(*matrix.table(), sep=chr(10))"`."""
    readme = (ROOT / "editing" / "README.md").read_text()
    shown = readme.split("<!-- matrix: ")[1].split("<!-- matrix ends -->")[0].splitlines()
    assert [line for line in shown[1:] if line] == matrix.table()
    assert (ROOT / "tests/studio/test_matrix.py").is_file()
