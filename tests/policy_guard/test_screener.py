"""The whole of it: the frame, the guard's own process, the tiny model in it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from policy import Decision, PictureSubject, Policy, TextSubject, load_rules, pixel_digest
from policy.guard import AbsentGuard, GuardScreener, ReportsNotices, SecondOpinion, build_guard, missing_guard
from policy.guard.loading import read_table
from policy.guard.weights import GuardFiles
from policy.screeners import ReportsProblems, ScreensAtTolerance
from policy.subjects import Wording
from tests.policy.documents import small_set
from tests.policy_guard import tiny

HOSTILE = "tests.policy_guard.hostile_guards"


def text(words, **fields):
    return TextSubject(name="prompt", text=words, **fields)


def decision(guard, words, tolerance=2):
    findings = guard.screen_at(text(words), tolerance)
    return max((each.decision for each in findings), key=[*Decision].index), [each.rule for each in findings]


def test_it_speaks_the_protocols(guard):
    for protocol in (SecondOpinion, ReportsProblems, ScreensAtTolerance):
        assert isinstance(guard, protocol)
    assert guard.second_opinion is True
    assert guard.problems() == ()


def test_what_the_model_says_decides(guard):
    assert decision(guard, "a lamp on a desk") == (Decision.ALLOW, ["guard.nothing_found"])
    assert decision(guard, "men beat a stranger in the street") == (Decision.BLOCK, ["guard.violent"])
    assert decision(guard, "一群人殴打路人") == (Decision.BLOCK, ["guard.violent"])
    assert decision(guard, "the president flees in a boat")[0] is Decision.REVIEW
    assert decision(guard, "the famous mouse on a mug")[0] is Decision.ALLOW
    assert decision(guard, "how to rob the corner shop")[1] == ["guard.violent", "guard.non_violent_illegal_acts"]


def test_the_dial_reaches_the_model(guard):
    words = "painting of a bloody battle"
    assert [decision(guard, words, each)[0] for each in (0, 1, 2, 3, 6)] == [
        Decision.REVIEW,
        Decision.REVIEW,
        Decision.ALLOW,
        Decision.ALLOW,
        Decision.ALLOW,
    ]
    assert guard.screen(text(words)) == guard.screen_at(text(words), 2)


def test_findings_hold_numbers_and_no_words(guard):
    (finding,) = guard.screen(text("those people are vermin"))
    assert finding.score > 0.9
    assert finding.detail.startswith("safe=0.0")
    assert "vermin" not in repr(finding)


def test_nonsense_blocks_and_the_model_stays(guard):
    assert decision(guard, "make it glow") == (Decision.BLOCK, ["policy.screener_failed"])
    assert decision(guard, "☃" * 4_000) == (Decision.BLOCK, ["policy.screener_failed"])
    assert guard._child._child.alive
    assert decision(guard, "a lamp on a desk")[0] is Decision.ALLOW


def test_a_process_that_dies_is_replaced_by_one_that_loads_again(guard):
    first = guard._child._child._process.pid
    os.kill(first, signal.SIGKILL)
    findings = guard.screen(text("a lamp on a desk"))
    if findings[0].decision is Decision.BLOCK:  # it died while it was asked
        findings = guard.screen(text("a lamp on a desk"))
    assert findings[0].decision is Decision.ALLOW
    assert guard._child._child._process.pid != first


def test_it_looks_at_prompts_and_nothing_else(guard):
    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    picture = PictureSubject(name="image", pixels=pixels, pixel_sha256=pixel_digest(pixels))
    asked = [wording for wording in Wording if guard.handles(text("a lamp", wording=wording))]
    assert asked == [Wording.PROMPT]
    assert not guard.handles(picture)


def test_an_empty_text_is_not_asked_about():
    guard = hostile("build_never")
    assert guard.screen(text(" \n"))[0].decision is Decision.ALLOW


def hostile(function="build", **limits):
    files = GuardFiles(name="hostile", folder=Path("nowhere"), revision="local")
    return GuardScreener(files, {}, read_table(), builder=f"{HOSTILE}:{function}", **limits)


@pytest.fixture(scope="module")
def misbehaving():
    made = hostile(answer_limit_s=2.0, start_limit_s=30.0)
    made.start()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("word", "rule", "detail"),
    [
        ("hang", "policy.screener_timeout", "no answer within 2 s"),
        ("die", "policy.screener_failed", "process lost: EOFError"),
        ("babble", "policy.screener_failed", "AttributeError"),
    ],
)
def test_whatever_goes_wrong_blocks_and_the_next_text_is_read(misbehaving, word, rule, detail):
    (finding,) = misbehaving.screen(text(word))
    assert (finding.decision, finding.rule, finding.detail) == (Decision.BLOCK, rule, detail)
    assert misbehaving.screen(text("fine"))[0].decision is Decision.ALLOW


def test_loading_that_hangs_or_fails_blocks_and_is_told():
    for function, told in (("build_slowly", "no start within 1 s"), ("build_never", "MemoryError")):
        guard = hostile(function, start_limit_s=1.0 if function == "build_slowly" else 30.0)
        assert guard.screen(text("fine"))[0].decision is Decision.BLOCK
        assert told in guard.problems()[0]
        guard.close()


def test_the_version_follows_every_file_and_the_thresholds():
    files = GuardFiles(name="m", folder=Path("nowhere"), revision="local")
    table = read_table()
    first = GuardScreener(files, {"config.json": "0" * 64}, table)
    other_file = GuardScreener(files, {"config.json": "1" * 64}, table)
    other_table = GuardScreener(files, {"config.json": "0" * 64}, table | {"controversial_weight": 0.6})
    again = GuardScreener(files, {"config.json": "0" * 64}, table, device="cuda")
    assert len({first.version, other_file.version, other_table.version}) == 3
    assert again.version == first.version


def test_files_changed_after_they_were_digested_are_not_loaded(spoilt):
    guard = GuardScreener(
        GuardFiles(name="m", folder=spoilt, revision="local"), {"config.json": "0" * 64}, read_table()
    )
    assert guard.start() == ("its process did not start: GuardTamperedError",)
    guard.close()


def spoil_with_nan(folder):
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = float("inf")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_guard_that_does_not_load_blocks_where_it_is_required_and_is_noted_where_not(spoilt):
    spoil_with_nan(spoilt)
    required = build_guard(str(spoilt), device="cpu", required=True)
    assert isinstance(required, AbsentGuard)
    assert "GuardWeightsError" in required.problems()[0]
    assert required.screen(text("a lamp"))[0].decision is Decision.BLOCK


@pytest.mark.parametrize("model", [None, "Qwen/Qwen3Guard-Gen-0.6B", "/no/such/folder", "nonsense"])
def test_a_missing_guard_blocks_everything_or_leaves_a_notice(model, tmp_path):
    for make in (build_guard, missing_guard):
        required = make(model, required=True, hub_cache=tmp_path)
        assert required.handles(text("a lamp", wording=Wording.NEGATIVE))
        assert required.screen(text("a lamp"))[0].decision is Decision.BLOCK
        assert required.problems()
        assert not required.notices()
        optional = make(model, required=False, hub_cache=tmp_path)
        assert not optional.handles(text("a lamp"))
        assert not optional.problems()
        assert isinstance(optional, ReportsNotices)
        assert optional.notices()
        assert optional.version != required.version


def test_what_lies_ready_is_not_missing(untrained):
    assert missing_guard(str(untrained), required=True) is None


def test_no_server_process_imports_torch_for_the_guard():
    code = (
        "import sys, policy.guard, policy.guard.loading\n"
        f"policy.guard.missing_guard({'x' * 3 + '/y'!r}, required=True)\n"
        "assert not {'torch', 'transformers'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_text_is_answered_in_well_under_its_limit(guard):
    started = time.perf_counter()
    for words in tiny.SAFE:
        guard.screen(text(words))
    assert time.perf_counter() - started < 5


def test_the_frame_asks_it_about_what_is_to_be_shown_alone_and_joined(guard):
    policy = Policy(small_set({}), [guard])  # rules that leave it to the guard
    verdict = policy.screen(
        [
            text("a lamp on a desk"),
            TextSubject(name="prompt_2", text="men beat a stranger in the street"),
            TextSubject(name="negative_prompt", text="painting of a bloody battle", wording=Wording.NEGATIVE),
        ]
    )
    asked = {each.subject for each in verdict.findings if each.screener == "guard"}
    assert asked == {"prompt", "prompt_2"}  # and about nothing more once that one is refused
    assert not {each for each in asked if "negative" in each}
    assert "guard.violent" in {reason.rule for reason in verdict.reasons}


def test_a_required_guard_that_is_absent_makes_the_frame_block_everything_and_say_why():
    policy = Policy(load_rules(), [AbsentGuard("nobody fetched it", required=True)])
    assert policy.screen([text("a lamp")]).decision is Decision.BLOCK
    assert not policy.ready().ready
    assert "nobody fetched it" in policy.ready().problems[0]
    assert Policy(load_rules(), [AbsentGuard("none is set", required=False)]).ready().ready
