"""studio policy: what people who look after the rules see, through the real command line and the real rules."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from policy import RuleError, RuleSet, loading
from policy.corpus import CorpusError
from policy.documents import Document
from policy.ruleset import parse_rule_set
from studio.cli import app
from studio.cli.policy_marks import marked
from tests.studio.conftest import Studio

CATEGORY = """
version = "2026.01.01"
category = "gnomes"
title = "Garden gnomes"
summary = "Gnomes are not made here."
[[rules]]
id = "gnomes-01"
title = "Grumpy garden gnomes"
why = "For tests."
reason = "Grumpy gnomes are not made here."
severity = "high"
actions = { request = "ACTION", input_image = "block", output_image = "block" }
languages = ["en"]
"""

ENGLISH = """
version = "2026.01.01"
language = "en"
category = "gnomes"
[rules.gnomes-01]
phrases = ["grumpy gnome"]
allow = [
  "a smiling gnome",
]
catch = ["a grumpy gnome on a lawn"]
"""


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture(scope="session")
def parsed() -> dict[tuple[tuple[str, str], ...], RuleSet]:
    return {}


@pytest.fixture(autouse=True)
def same_files_are_parsed_once(
    parsed: dict[tuple[tuple[str, str], ...], RuleSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule set is an immutable value of its documents; making the same one for every command would take minutes."""

    def parse(documents: Sequence[Document]) -> RuleSet:
        key = tuple((each.name, each.text) for each in documents)
        if key not in parsed:
            parsed[key] = parse_rule_set(documents)
        return parsed[key]

    monkeypatch.setattr(loading, "parse_rule_set", parse)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str = "rules", action: str = "block", english: str = ENGLISH) -> Path:
        place = tmp_path / name
        (place / "en").mkdir(parents=True)
        (place / "gnomes.toml").write_text(CATEGORY.replace("ACTION", action))
        (place / "en" / "gnomes.toml").write_text(english)
        return place

    return write


def run(*arguments: object, code: int = 0, lines: str = "") -> Result:
    result = CliRunner().invoke(app, ["policy", *map(str, arguments)], input=lines)
    assert result.exit_code == code, result.output
    return result


def read(*arguments: object, code: int = 0, lines: str = "") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json", code=code, lines=lines).stdout)
    return found


def corpus(*rows: tuple[str, str] | tuple[str, str, str]) -> str:
    names = ("id", "text", "label")
    return "".join(json.dumps(dict(zip(names, row, strict=False))) + "\n" for row in rows)


def studio(*arguments: str, lines: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "studio", "policy", *arguments]
    return subprocess.run(command, input=lines, capture_output=True, check=False, env=dict(os.environ))


def test_every_example_of_the_shipped_rules_is_answered_as_it_should_be(folder: Callable[..., Path]) -> None:
    found = json.loads(CliRunner().invoke(app, ["policy", "check", str(folder()), "--json"]).stdout)
    assert found["categories"]["gnomes"]["en"] == {"rules": 1, "phrases": 1, "allow": 1, "catch": 1}
    assert {"minors", "privacy"} <= set(found["categories"])
    assert found["problems"] == []
    assert found["ok"]


def test_check_names_file_and_line_of_every_example_that_fails(folder: Callable[..., Path]) -> None:
    bad = ENGLISH.replace('"a smiling gnome"', '"grumpy gnome statue", "a nude child beside a gnome"')
    problems = read("check", folder(english=bad.replace("a grumpy gnome on", "a lawn on")), code=1)["problems"]
    own = [each for each in problems if each.startswith("operator:")]
    assert own[:2] == [
        "operator:en/gnomes.toml:10: gnomes-01 misses its catch example",
        "operator:en/gnomes.toml:8: gnomes-01 matches its allow example",
    ]
    assert "operator:en/gnomes.toml:8: minors-01 catches an allow example of gnomes-01" in own


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("[rules.gnomes-01]", "[rules.gnomes-02]"), r"en/gnomes\.toml:5: there is no rule gnomes-02"),
        (('"grumpy gnome"', '"/(?<=a)b/"'), r"en/gnomes\.toml:6: invalid pattern"),
        (("catch = ", "cath = "), r"en/gnomes\.toml:5: unknown field cath"),
    ],
)
def test_a_broken_file_is_named_with_its_line(folder: Callable[..., Path], change: tuple[str, str], told: str) -> None:
    place = folder(english=ENGLISH.replace(*change))
    with pytest.raises(RuleError, match=told):
        CliRunner().invoke(app, ["policy", "check", str(place)], catch_exceptions=False)


def test_screen_explains_a_decision_at_every_tolerance(folder: Callable[..., Path]) -> None:
    place = folder()
    found = read("screen", "A Grumpy  GNOME at night", "--rules", place)
    assert (found["decision"], found["category"], found["rules"]) == ("block", "gnomes", ["gnomes-01"])
    assert found["at_tolerances"] == dict.fromkeys("01234", "block") | dict.fromkeys("56", "review")
    (match,) = found["matches"]
    assert (match["spans"], match["reading"], match["title"]) == ([[2, 15]], "canonical", "Grumpy garden gnomes")
    told = run("screen", "A Grumpy  GNOME at night", "--rules", place).stdout
    line, carets = told.splitlines()[4:6]
    assert (line, carets) == ("  A Grumpy  GNOME at night", "    " + "^" * 13)
    assert "Grumpy gnomes are not made here." in told


def test_screen_reads_prompt_negative_prompt_and_purpose_together(folder: Callable[..., Path]) -> None:
    place = folder()
    alone = read("screen", "a lawn", "--negative", "grumpy gnome", "--rules", place)
    assert (alone["decision"], alone["matches"][0]["decision"]) == ("allow", "allow")
    split = read("screen", "a grumpy", "--negative", "gnome", "--rules", place)
    assert (split["decision"], split["matches"][0]["subject"]) == ("block", "joined with negative prompt")
    assert read("screen", "a lawn", "--purpose", "pictures for garden fairs")["decision"] == "allow"


@pytest.mark.parametrize(
    "arguments", [[], ["text", "--jsonl", "-"], ["--jsonl", "-", "--json"], ["a", "--tolerance", "7"]]
)
def test_screen_refuses_what_contradicts_itself(arguments: list[str]) -> None:
    run("screen", *arguments, code=2)


def test_a_thousand_lines_are_answered_in_order_and_in_time() -> None:
    rows = [(f"row-{number}", f"a lamp on a table, study number {number}, morning light") for number in range(1_000)]
    started = time.monotonic()
    result = studio("screen", "--jsonl", "-", lines=corpus(*rows).encode())
    seconds = time.monotonic() - started
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0, result.stderr
    assert [each["id"] for each in answers] == [row[0] for row in rows]
    assert answers[0] == {
        "id": "row-0",
        "decision": "allow",
        "category": "none",
        "rules": [],
        "score": answers[0]["score"],
    }
    assert seconds < 20


def test_a_bad_line_ends_a_stream_after_the_good_ones() -> None:
    lines = corpus(("a", "a nude child"), ("long", "x" * 4_001)).encode() + b"{not json: a secret}\n"
    result = studio("screen", "--jsonl", "-", lines=lines + corpus(("b", "a lamp")).encode())
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert (first["id"], first["decision"], first["category"], first["score"]) == ("a", "block", "minors", 1.0)
    assert (second["id"], second["decision"], second["rules"]) == ("long", "block", ["policy.text_too_long"])
    assert result.returncode == 1
    assert b"standard input:2: 4001 characters, limit 4000: blocked unread" in result.stderr
    assert b"CorpusError: standard input:3: not JSON" in result.stderr
    assert b"secret" not in result.stderr
    assert b"Traceback" not in result.stderr


LABELLED = corpus(
    ("hit", "a grumpy gnome", "unsafe"),
    ("miss", "a gnome in a foul <b>mood</b>", "unsafe"),
    ("alarm", "no <i>grumpy gnome</i> here, please", "safe"),
    ("fine", "a lamp", "safe"),
)


def test_eval_counts_recall_and_false_alarms(folder: Callable[..., Path], tmp_path: Path) -> None:
    file, page = tmp_path / "corpus.jsonl", tmp_path / "page.html"
    file.write_text(LABELLED)
    arguments = ("eval", file, "--rules", folder(), "--misses", 5, "--false-alarms", 5, "--html", page)
    found = read(*arguments)
    told = found["files"][str(file)]
    assert told["unsafe"]["caught"] | {"low": 0, "high": 0} == {"count": 1, "of": 2, "share": 0.5, "low": 0, "high": 0}
    assert told["safe"]["blocked"]["count"] == 1
    assert told["found"] == {"gnomes": {"unsafe": 1, "safe": 1}}
    assert told["screeners"]["rules"]["unsafe"]["caught"]["count"] == 1
    assert ([each["id"] for each in found["misses"]], [each["id"] for each in found["false_alarms"]]) == (
        ["miss"],
        ["alarm"],
    )
    assert "foul" not in json.dumps(found)
    assert "foul" not in page.read_text()
    assert "50.0 / 50.0 % of 2" in page.read_text()
    shown = run(*arguments, "--show-texts").stdout
    assert "corpus.jsonl" in shown
    assert "50.0 (9.5-91)" in shown
    assert "foul" in shown


def test_eval_measures_nothing_if_one_line_is_bad(tmp_path: Path) -> None:
    file = tmp_path / "corpus.jsonl"
    file.write_text(LABELLED + corpus(("x", "a lamp", "harmless")))
    with pytest.raises(CorpusError, match=r"corpus\.jsonl:5: label must be safe or unsafe"):
        CliRunner().invoke(app, ["policy", "eval", str(file)], catch_exceptions=False)


def test_eval_tells_of_every_file_where_two_share_a_name(tmp_path: Path) -> None:
    files = [tmp_path / part / "corpus.jsonl" for part in ("one", "two")]
    for file, label in zip(files, ("safe", "unsafe"), strict=True):
        file.parent.mkdir()
        file.write_text(corpus(("1", "a lamp", label)))
    page = tmp_path / "page.html"
    shown = run("eval", *files, "--html", page).stdout
    assert all(f"{name}/corpus.jsonl" in page.read_text() for name in ("one", "two"))
    assert len([line for line in shown.partition("all files")[0].splitlines() if " 1 " in line]) == len(files)


def test_eval_says_before_it_measures_that_its_page_has_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "corpus.jsonl"
    file.write_text("no line of a corpus\n")
    said = run("eval", file, "--html", tmp_path / "nowhere" / "page.html", code=2)
    assert "--html" in said.stderr


def test_diff_tells_rules_and_decisions_that_change(folder: Callable[..., Path], tmp_path: Path) -> None:
    strict, mild, file = folder("strict"), folder("mild", action="review"), tmp_path / "corpus.jsonl"
    file.write_text(corpus(("hit", "one grumpy gnome, seen"), ("fine", "a lamp")))
    found = read("diff", strict, mild, file)
    assert found["documents"]["changed"] == [
        {"rule": "gnomes-01", "fields": ["actions"], "actions": {"request": ["block", "review"]}}
    ]
    assert (found["texts"], found["changed"]) == (2, 1)
    assert found["directions"] == {"block -> review": {"gnomes": 1}}
    assert "seen" not in json.dumps(found)
    assert "seen" in run("diff", strict, mild, file, "--show-texts").stdout


def test_texts_of_corpora_that_number_their_lines_alike_are_told_apart(
    folder: Callable[..., Path], tmp_path: Path
) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text(corpus(("1", "a grumpy gnome at dawn")))
    second.write_text(corpus(("1", "a grumpy gnome at dusk")))
    found = read("diff", "shipped", folder(), first, second, "--show-texts")["changes"]
    assert [(each["id"], each["text"]) for each in found] == [
        ("1", "a grumpy gnome at dawn"),
        (f"1 ({second}:1)", "a grumpy gnome at dusk"),
    ]


def test_diff_takes_an_edited_copy_of_the_shipped_rules(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(str(resources.files("policy").joinpath("rules")), copy)
    edited = copy / "privacy.toml"
    edited.write_text(edited.read_text().replace('title = "', 'title = "Edited: ', 2))
    with pytest.raises(RuleError, match=r"already used|shipped list"):  # an addition it cannot be: all is there twice
        CliRunner().invoke(app, ["policy", "diff", "shipped", str(copy)], catch_exceptions=False)
    found = read("diff", "shipped", copy, "--whole")["documents"]
    assert (found["added"], found["removed"]) == ([], [])
    assert [each["fields"] for each in found["changed"]] == [["title"]]


def stored(make_studio: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Studio:
    made = make_studio(**settings)
    monkeypatch.setenv("STUDIO_HOME", str(made.settings.home_path))
    return made


def test_diff_asks_about_the_words_of_stored_jobs_while_they_are_kept(
    make_studio: Callable[..., Studio], folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stored(make_studio, monkeypatch)
    kept, erased, split = (
        made.done("generate", prompt="a grumpy gnome, seen"),
        made.done("generate", prompt="another grumpy gnome"),
        made.done("generate", prompt="a grumpy", negative_prompt="gnome"),
    )
    reference = made.store.jobs.get(erased["id"], None).prompt_ref
    assert reference is not None
    with made.store.database.transaction() as session:
        made.store.vault.erase(session, reference)
    found = read("diff", "shipped", folder(), "--history")
    assert [each["id"] for each in found["changes"]] == [split["id"], kept["id"]]
    assert (found["texts"], found["documents"]["added"]) == (2, ["gnomes-01"])
    assert "seen" not in json.dumps(found)
    assert read("diff", "shipped", folder("again"), "--history", "--last", 1)["texts"] == 1


def test_shadow_reports_where_a_candidate_disagreed(
    make_studio: Callable[..., Studio], folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stored(make_studio, monkeypatch, shadow_rules=folder())
    differs = made.done("generate", prompt="a grumpy gnome")
    made.done("generate", prompt="a lamp")
    assert differs["state"] == "done"
    found = read("shadow")
    assert (found["records"], found["asked"], found["disagreements"]) == (2, 2, 1)
    assert found["directions"] == {"allow -> block": 1}
    (told,) = found["jobs"]
    assert (told["job"], told["decision"], told["candidate"]) == (differs["id"], "allow", "block")
    assert told["rules"] == ["gnomes-01"]
    assert differs["id"] in run("shadow").stdout


def test_status_says_what_is_in_force(folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder()
    monkeypatch.setenv("STUDIO_RULES", str(place))
    found = read("status")
    assert (found["own_rules"], found["rules"]["gnomes"], found["problems"]) == (str(place), 1, [])
    assert {"rules", "known_pictures"} <= {each["name"] for each in found["screeners"]}
    assert (found["guard"]["present"], found["guard"]["required"]) == (False, False)
    assert found["tolerance"]["high"]["block"] == ["block"] * 5 + ["review"] * 2
    monkeypatch.setenv("STUDIO_GUARD_REQUIRED", "true")
    assert "guard" in " ".join(read("status", code=1)["problems"])


def test_none_of_it_imports_torch() -> None:
    program = (
        "import sys; from typer.testing import CliRunner; from studio.cli import app;"
        "assert CliRunner().invoke(app, ['policy', 'screen', 'a lamp']).exit_code == 0;"
        "print([name for name in ('torch', 'transformers', 'diffusers') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_marks_stand_under_wide_characters_and_hidden_ones_are_shown() -> None:
    text, carets = marked("看\u200b一个 gnome\x1b[31m", [(2, 4), (5, 10)], 40)
    assert text.plain == "看·一个 gnome·[31m"
    assert carets.plain == "   ^^^^ ^^^^^"


def test_long_texts_show_only_rows_with_marks() -> None:
    words = "lamp " * 200
    lines = [line.plain for line in marked(words + "gnome " + words, [(1_000, 1_005)], 40)]
    assert lines[0] == lines[-1] == "..."
    assert [line for line in lines if "gnome" in line]
    assert len(lines) == 4
    assert all(cell_len(line) <= 40 for line in lines)
