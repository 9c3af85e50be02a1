import ast
import subprocess
import sys
from importlib import resources

import pytest

from policy import RuleError, TextSubject, load_policy, load_rules

CATEGORY = """
version = "2099.01.01"
category = "art"
title = "Art"
summary = "Of art."
[[rules]]
id = "art-01"
title = "A test rule"
why = "For tests."
reason = "This is not made here."
severity = "medium"
actions = { request = "review", input_image = "review", output_image = "review" }
languages = ["en"]
"""
ENGLISH = """
version = "2099.01.01"
language = "en"
category = "art"
[rules.art-01]
phrases = ["forbidden lamp"]
allow = ["a lamp"]
catch = ["forbidden lamp"]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "en").mkdir()
    (tmp_path / "art.toml").write_text(CATEGORY, "utf-8")
    (tmp_path / "en" / "art.toml").write_text(ENGLISH, "utf-8")
    return tmp_path


def decide(policy, text):
    return policy.screen([TextSubject(name="prompt", text=text)]).decision


def test_an_operators_rules_are_added_to_the_shipped_ones(folder):
    (folder / "notes.txt").write_text("not a rule")
    rule_set = load_rules(folder)
    assert {rule.id for rule in rule_set.rules} == {rule.id for rule in load_rules().rules} | {"art-01"}
    assert rule_set.version == "2099.01.01"
    policy = load_policy(rules=folder)
    assert decide(policy, "a forbidden lamp") == "review"
    assert decide(policy, "a nude child") == "block"


def test_comments_and_layout_do_not_change_the_digest(folder):
    before = load_rules(folder).digest
    (folder / "art.toml").write_text("# a comment\n" + CATEGORY.replace(" = ", "="), "utf-8")
    assert load_rules(folder).digest == before
    (folder / "art.toml").write_text(CATEGORY.replace("Of art.", "Of arts."), "utf-8")
    assert load_rules(folder).digest != before


def test_an_empty_folder_adds_nothing(tmp_path):
    assert load_rules(tmp_path).digest == load_rules().digest


def test_overrides_are_read_from_the_operators_folder(folder):
    (folder / "overrides.toml").write_text(
        'version = "2099.01.02"\n[actions.art-01]\nwhy = "ours"\nrequest = "allow"\n', "utf-8"
    )
    assert decide(load_policy(rules=folder), "a forbidden lamp") == "allow"


@pytest.mark.parametrize("rule", ["minors-01", "illegal_content-04"])
def test_minors_and_terrorism_cannot_be_loosened(tmp_path, rule):
    (tmp_path / "overrides.toml").write_text(
        f'version = "2099.01.02"\n[actions.{rule}]\nwhy = "ours"\nrequest = "review"\n', "utf-8"
    )
    with pytest.raises(RuleError, match=rf"operator:overrides\.toml:2: {rule} is locked"):
        load_rules(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"version = ", b"\xff\xfe\x00", b"x = " + b"[" * 100_000, b"x = " + b"1" * 10_000],
    ids=["broken", "no UTF-8", "nested", "number"],
)
def test_a_file_that_is_no_toml_is_named(folder, content):
    (folder / "en" / "art.toml").write_bytes(content)
    with pytest.raises(RuleError, match=r"operator:en/art\.toml: not TOML"):
        load_rules(folder)


def test_an_error_names_file_and_line(folder):
    (folder / "en" / "art.toml").write_text(ENGLISH.replace('"forbidden lamp"', "'/(/'", 1), "utf-8")
    with pytest.raises(RuleError, match=r"^operator:en/art\.toml:6: invalid pattern"):
        load_rules(folder)


def test_an_id_of_the_shipped_rules_cannot_be_taken(folder):
    (folder / "minors.toml").write_text(CATEGORY.replace("art", "minors"), "utf-8")
    with pytest.raises(RuleError, match=r"minors-01: id already used in minors\.toml:\d+"):
        load_rules(folder)


def test_a_missing_folder_is_an_error_and_not_an_empty_rule_set(tmp_path):
    with pytest.raises(RuleError, match="cannot be read"):
        load_rules(tmp_path / "absent")


PURE = [
    *("clearance", "documents", "errors", "failures", "joining", "known_pictures", "matching", "overrides", "patterns"),
    *("phrases", "policy", "rule", "rule_documents", "rule_screener", "ruleset", "screeners", "subjects", "tolerance"),
    *("verdict", "vocabulary"),
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
