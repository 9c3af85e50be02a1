import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from policy import Decision, PictureSubject, Policy, TextSubject, load_rules, pixel_digest
from policy.killable import KillableScreener
from policy.subjects import Wording
from tests.policy.hostile_screeners import text

BUILDER = "tests.policy.hostile_screeners"
RULES = load_rules()


@pytest.fixture
def make():
    made = []

    def build(function="build", *, answer_limit_s=30.0, start_limit_s=60.0, **arguments):
        screener = KillableScreener(
            f"{BUILDER}:{function}",
            name="hostile",
            version="1",
            handles=[TextSubject, PictureSubject],
            answer_limit_s=answer_limit_s,
            start_limit_s=start_limit_s,
            arguments=arguments,
        )
        made.append(screener)
        return screener

    yield build
    for screener in made:
        screener.close()


def answers(screener, word):
    verdict = Policy(RULES, [screener]).screen([text(word)])
    return verdict.decision, [(f.rule, f.detail) for f in verdict.findings if f.screener == "hostile"]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def is_gone_within(pid, seconds):
    for _ in range(int(seconds * 20)):
        if not is_running(pid):
            return True
        time.sleep(0.05)
    return False


def test_findings_come_back_from_the_child(make):
    screener = make()
    assert answers(screener, "allow")[0] is Decision.ALLOW
    assert answers(screener, "block") == (Decision.BLOCK, [("inner-01", "")])
    assert answers(screener, "pid")[1][0][1] not in ("", str(os.getpid()))


def test_pictures_reach_the_child_whole(make):
    screener = make()
    decisions = []
    for value in (0, 255):
        pixels = np.full((700, 900, 3), value, dtype=np.uint8)[::2, ::-1]
        subject = PictureSubject(name="image", pixels=pixels, pixel_sha256=pixel_digest(pixels))
        decisions.append(Policy(RULES, [screener]).screen([subject]).decision)
    assert decisions == [Decision.ALLOW, Decision.BLOCK]


def test_tolerance_and_wording_reach_the_child(make):
    subject = TextSubject(name="prompt", text="allow", wording=Wording.NAME)
    heedful = make("build_heedful")
    assert [heedful.screen_at(subject, tolerance)[0].detail for tolerance in (0, 6)] == ["0 name", "6 name"]
    assert make().screen_at(subject, 0)[0].decision is Decision.ALLOW  # knows of no tolerance, is asked as ever


@pytest.mark.parametrize(
    ("word", "rule", "detail"),
    [
        ("crash", "policy.screener_failed", "process lost: EOFError"),
        ("fail", "policy.screener_failed", "LookupError"),
        ("nonsense", "policy.screener_failed", "TypeError"),
        ("silence", "policy.screener_silent", ""),
    ],
)
def test_a_child_that_goes_wrong_blocks_and_the_next_subject_is_screened(make, word, rule, detail):
    screener = make()
    assert answers(screener, word) == (Decision.BLOCK, [(rule, detail)])
    assert answers(screener, "allow")[0] is Decision.ALLOW


def test_a_child_that_hangs_is_killed_at_its_limit_and_replaced(make):
    screener = make(answer_limit_s=3.0)
    pid = int(answers(screener, "pid")[1][0][1])
    assert answers(screener, "hang") == (Decision.BLOCK, [("policy.screener_timeout", "no answer within 3 s")])
    assert is_gone_within(pid, 5)
    assert answers(screener, "allow")[0] is Decision.ALLOW


def test_processes_the_child_started_die_with_it(make, tmp_path):
    note = tmp_path / "pid"
    screener = make("build_forker", answer_limit_s=5.0, note=str(note))
    assert answers(screener, "any")[1][0][0] == "policy.screener_timeout"
    assert is_gone_within(int(note.read_text()), 5)


def test_a_child_that_cannot_load_blocks_and_says_so_to_operators(make):
    screener = make("build_never")
    assert answers(screener, "allow") == (Decision.BLOCK, [("policy.screener_failed", "OSError")])
    assert screener.problems() == ("its process did not start: OSError",)
    assert not Policy(RULES, [screener]).ready().ready


def test_a_child_that_loads_too_slowly_blocks(make):
    screener = make("build_slowly", start_limit_s=0.5, seconds=600)
    assert answers(screener, "allow") == (Decision.BLOCK, [("policy.screener_timeout", "no start within 0.5 s")])


def test_a_child_can_be_started_before_the_first_subject(make):
    assert make().start() == ()
    assert make("build_absent").start() == ("its process did not start: AttributeError",)


def test_a_closed_screener_leaves_no_process_behind(make):
    screener = make()
    pid = int(answers(screener, "pid")[1][0][1])
    screener.close()
    assert is_gone_within(pid, 5)


PARENT = """
from policy import TextSubject
from policy.killable import KillableScreener
from policy.subjects import Wording

if __name__ == "__main__":
    screener = KillableScreener(
        "tests.policy.hostile_screeners:build",
        name="hostile", version="1", handles=[TextSubject], answer_limit_s=600.0,
    )
    print(screener.screen(TextSubject(name="prompt", text="pid"))[0].detail, flush=True)
    screener.screen(TextSubject(name="prompt", text="hang"))
"""


def test_a_hanging_child_dies_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        time.sleep(0.3)
        parent.kill()
    assert is_gone_within(pid, 10)
