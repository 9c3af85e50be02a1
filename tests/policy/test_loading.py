import ast
import subprocess
import sys
from importlib import resources

import pytest

from policy import RuleError, TextSubject, load_policy, load_rules

GOOD = """
version = "2026.01.01"
category = "minors"
[[rules]]
id = "minors-01"
title = "A test rule"
reason = "This is not made here."
decision = "review"
any = ["forbidden", "禁止"]
allow = ["a lamp", "一盏灯"]
block = ["forbidden", "禁止"]
"""


def test_a_folder_of_rules_is_loaded(tmp_path):
    (tmp_path / "minors.toml").write_text(GOOD, "utf-8")
    (tmp_path / "notes.txt").write_text("not a rule")
    rule_set = load_rules(tmp_path)
    assert [rule.id for rule in rule_set.rules] == ["minors-01"]
    assert rule_set.version == "2026.01.01"
    verdict = load_policy(rules=tmp_path).screen([TextSubject(name="prompt", text="forbidden")])
    assert verdict.decision == "review"


def test_comments_and_layout_do_not_change_the_digest(tmp_path):
    (tmp_path / "minors.toml").write_text(GOOD, "utf-8")
    before = load_rules(tmp_path).digest
    (tmp_path / "minors.toml").write_text("# a comment\n" + GOOD.replace(" = ", "="), "utf-8")
    assert load_rules(tmp_path).digest == before


def test_an_empty_folder_blocks_everything(tmp_path):
    policy = load_policy(rules=tmp_path)
    assert policy.screen([TextSubject(name="prompt", text="a lamp")]).decision == "block"


@pytest.mark.parametrize("content", [b"version = ", b"\xff\xfe\x00"])
def test_a_file_that_is_no_toml_is_named(tmp_path, content):
    (tmp_path / "minors.toml").write_bytes(content)
    with pytest.raises(RuleError, match=r"minors\.toml: not TOML"):
        load_rules(tmp_path)


def test_a_missing_folder_is_an_error_and_not_an_empty_rule_set(tmp_path):
    with pytest.raises(RuleError, match="cannot be read"):
        load_rules(tmp_path / "absent")


PURE = [
    *("clearance", "errors", "failures", "known_pictures", "normalise", "patterns", "policy", "rule_screener"),
    *("ruleset", "screeners", "subjects", "verdict"),
]


@pytest.mark.parametrize("module", PURE)
def test_the_pure_core_imports_no_io(module):
    tree = ast.parse(resources.files("policy").joinpath(f"{module}.py").read_text("utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported.isdisjoint({"os", "pathlib", "logging", "io", "importlib", "policy.loading", "policy.killable"})


def test_the_package_brings_no_torch_into_the_process():
    code = "import sys, policy, policy.killable; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
