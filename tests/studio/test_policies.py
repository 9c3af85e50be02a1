"""The policy in force: changed files come into force whole or not at all, and nobody waits for them."""

import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from policy import Decision, Policy, Screener, TextSubject, load_known_pictures, load_policy
from studio import bootstrap
from studio.guards import guard_of_service, guarding
from studio.jobs.shadow import Shadow
from studio.policies import ActivePolicy, nothing_allowed
from studio.settings import Settings
from tests.studio.conftest import Studio
from tests.studio.house_rules import House, load_house, write_rules

WORD = "zorblat"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_rules(tmp_path / "rules", [House("quibbern")])


@pytest.fixture
def active(folder: Path) -> ActivePolicy:
    return ActivePolicy(lambda: load_house(folder), (folder,))


def decide(policy: Policy, text: str = f"a {WORD} on a table") -> Decision:
    return policy.screen([TextSubject(name="prompt", text=text)]).decision


def test_changed_rules_come_into_force_while_the_service_runs(folder: Path, tmp_path: Path) -> None:
    active = bootstrap.build_policies(Settings(home=tmp_path, rules=folder))
    before = active.current()
    assert decide(before) is Decision.ALLOW
    write_rules(folder, [House("quibbern"), House(WORD)], version="2027.01.02")
    after = active.settle()
    assert decide(after) is Decision.BLOCK
    assert decide(after, "a quibbern") is Decision.BLOCK
    assert (after.version, active.problem) == ("2027.01.02", None)
    assert after.digest != before.digest
    assert decide(before) is Decision.ALLOW, "whoever holds the old one keeps it whole"
    assert active.current() is after
    assert active.settle() is after, "nothing has changed since"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("harassment.toml", "this is no table", "operator:harassment.toml"),
        ("en/harassment.toml", 'version = "2027.01.02"\n', "operator:en/harassment.toml"),
        ("en/harassment.toml", None, "harassment.toml:6"),  # a rule that no language speaks of
    ],
)
def test_broken_rules_leave_the_active_ones_in_force_and_are_told_once(
    folder: Path, active: ActivePolicy, caplog: pytest.LogCaptureFixture, name: str, content: str | None, said: str
) -> None:
    before = active.current()
    whole = (folder / name).read_text()
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with caplog.at_level(logging.ERROR):
        assert active.settle() is before
        assert active.settle() is before
    assert active.problem is not None
    assert said in active.problem
    (logged,) = [each.getMessage() for each in caplog.records]
    assert said in logged
    (folder / name).write_text(whole)
    assert decide(active.settle(), "a quibbern") is Decision.BLOCK
    assert active.problem is None


def test_rules_that_fail_their_own_examples_are_broken(folder: Path, active: ActivePolicy) -> None:
    file = folder / "en" / "harassment.toml"
    file.write_text(file.read_text().replace('phrases = ["quibbern"]', 'phrases = ["otherwise"]'))
    before = active.current()
    assert active.settle() is before
    assert active.problem is not None
    assert "harassment-quibbern-01 misses its catch example" in active.problem


def test_a_folder_that_vanishes_leaves_the_rules_in_force(folder: Path, active: ActivePolicy) -> None:
    shutil.rmtree(folder)
    assert decide(active.settle(), "a quibbern") is Decision.BLOCK
    assert active.problem is not None


def test_without_a_first_policy_everything_blocks_until_one_can_be_read(tmp_path: Path) -> None:
    folder = write_rules(tmp_path / "rules", [House(WORD)])
    (folder / "harassment.toml").write_text("this is no table")
    active = ActivePolicy(lambda: load_house(folder), (folder,))
    assert decide(active.current(), "a red circle") is Decision.BLOCK
    assert not active.current().ready().ready
    assert active.problem is not None
    write_rules(folder, [House(WORD)])
    assert decide(active.settle(), "a red circle") is Decision.ALLOW
    assert active.problem is None


def test_a_folder_of_a_language_may_be_a_link(folder: Path, active: ActivePolicy, tmp_path: Path) -> None:
    shutil.move(folder / "en", tmp_path / "elsewhere")
    (folder / "en").symlink_to(tmp_path / "elsewhere")
    before = active.settle()
    file = tmp_path / "elsewhere" / "harassment.toml"
    file.write_text(file.read_text().replace("a lamp", "a desk"))
    assert active.settle().digest != before.digest


def test_files_that_nobody_may_look_at_leave_the_rules_in_force(folder: Path) -> None:
    unreadable = folder / ("x" * 300)  # the same to the system as a folder that may not be entered, and to root too
    active = ActivePolicy(lambda: load_house(folder), (folder, unreadable), every_s=0)
    before = active.current()
    assert active.settle() is before


def test_a_list_of_pictures_is_looked_after_too(tmp_path: Path) -> None:
    listed = tmp_path / "known.txt"
    listed.write_text("ab" * 32 + "\n")
    active = bootstrap.build_policies(Settings(home=tmp_path, known_pictures=listed))
    before = active.current()
    listed.write_text("cd" * 32 + "\n")
    assert active.settle().digest != before.digest


def test_half_a_list_of_pictures_leaves_the_whole_one_in_force(folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "known.txt"
    listed.write_text("ab" * 32 + "\n")

    def load() -> Policy:
        return Policy(load_house(folder).rule_set, [load_known_pictures(listed)])

    active = ActivePolicy(load, (folder, listed))
    before = active.current()
    listed.write_text("ab" * 32 + "\ncdcd")
    assert active.settle() is before
    assert active.problem is not None
    assert active.problem.startswith("known_pictures")
    listed.write_text("ab" * 32 + "\n" + "cd" * 32 + "\n")
    assert active.settle() is not before
    assert (active.problem, active.current().ready().ready) == (None, True)


class Loading:
    """Loads policies from a folder, counts that, and waits where it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loads = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.then: Callable[[], object] = lambda: None

    def __call__(self) -> Policy:
        self.loads += 1
        assert self.may_go_on.wait(30)
        policy = load_house(self.folder)
        self.then()
        return policy


@pytest.fixture
def loading(folder: Path) -> Iterator[Loading]:
    made = Loading(folder)
    yield made
    made.may_go_on.set()


def test_nobody_waits_for_a_load_and_there_is_one_at_a_time(folder: Path, loading: Loading) -> None:
    active = ActivePolicy(loading, (folder,), every_s=0)
    before = active.current()
    loading.may_go_on.clear()
    write_rules(folder, [House(WORD)])
    assert [active.current() for _ in range(5)] == [before] * 5
    assert loading.loads == 2
    loading.may_go_on.set()
    assert decide(active.settle()) is Decision.BLOCK


def test_files_are_looked_at_every_few_seconds_only(folder: Path, loading: Loading) -> None:
    now = 100.0
    active = ActivePolicy(loading, (folder,), every_s=3, clock=lambda: now)
    before = active.current()
    write_rules(folder, [House(WORD)])
    now += 2.9
    assert active.current() is before
    assert loading.loads == 1
    now += 0.2
    active.current()
    assert decide(active.settle()) is Decision.BLOCK
    assert loading.loads == 2


def test_half_of_a_change_never_comes_into_force(folder: Path, loading: Loading) -> None:
    active = ActivePolicy(loading, (folder,), every_s=0)
    before = active.current()
    loading.then = lambda: write_rules(folder, [House("quibbern"), House(WORD)], version="2027.01.03")
    write_rules(folder, [House("other")], version="2027.01.02")
    assert active.settle() is before, "it was still being written when it was read"
    loading.then = lambda: None
    after = active.settle()
    assert (after.version, decide(after)) == ("2027.01.03", Decision.BLOCK)


def test_the_service_says_what_is_broken_and_goes_on(
    folder: Path, active: ActivePolicy, make_studio: Callable[..., Studio]
) -> None:
    studio = make_studio(policies=active)
    assert studio.http.get("/health/ready").json()["policy"]["problem"] is None
    (folder / "harassment.toml").write_text('version = "2027.01.02"\nzorblat = 1\n')
    active.settle()
    ready = studio.http.get("/health/ready")
    assert (ready.status_code, ready.json()["checks"]["policy"]) == (200, "ok")
    assert "operator:harassment.toml" in ready.json()["policy"]["problem"]
    assert WORD not in ready.text, "what the files hold is not for everybody"
    assert studio.done("generate", prompt="a red circle")["state"] == "done"


def test_a_service_whose_first_rules_are_broken_says_that_nothing_runs(
    folder: Path, make_studio: Callable[..., Studio]
) -> None:
    (folder / "harassment.toml").write_text("this is no table")
    studio = make_studio(policies=ActivePolicy(lambda: load_house(folder), (folder,)))
    ready = studio.http.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["policy"]["problem"].endswith("everything is blocked")


def test_a_job_keeps_the_policy_it_began_with(
    folder: Path, active: ActivePolicy, make_studio: Callable[..., Studio]
) -> None:
    studio = make_studio(policies=active)
    before = active.current()

    def change(raster: object) -> object:
        write_rules(folder, [House(WORD)], version="2027.01.09")
        active.settle()
        return raster

    studio.engine.then = change
    view = studio.done("generate", prompt=f"a {WORD}")
    assert (view["state"], view["verdict"]["policy_digest"]) == ("done", before.digest)
    studio.engine.then = None
    view = studio.done("generate", prompt=f"a {WORD}")
    assert (view["state"], view["verdict"]["policy_version"]) == ("refused", "2027.01.09")


# shadow


def shadowed(make_studio: Callable[..., Studio], tmp_path: Path, *rules: House) -> Studio:
    return make_studio(shadow_rules=write_rules(tmp_path / "candidate", rules))


def record_of(studio: Studio, view: dict[str, str]) -> dict[str, object]:
    return studio.http.get(f"/v1/records/{view['record']}").json()["body"]


def test_a_candidate_that_disagrees_is_recorded_and_not_obeyed(
    make_studio: Callable[..., Studio], tmp_path: Path
) -> None:
    studio = shadowed(make_studio, tmp_path, House(WORD), House("quibbern", action="review"))
    candidate = load_policy(rules=tmp_path / "candidate")
    view = studio.done("generate", prompt=f"a {WORD} and a quibbern")
    assert (view["state"], view["verdict"]["reasons"]) == ("done", [])
    assert record_of(studio, view)["shadow"] == {
        "policy_version": "2027.01.01",
        "policy_digest": candidate.digest,
        "decision": "block",
        "rules": ["harassment-quibbern-01", f"harassment-{WORD}-01"],
    }
    reader = studio.client("editor", owner=studio.key.owner)
    told = studio.http.get(f"/v1/records/{view['record']}", headers=reader).text
    assert "shadow" not in told
    assert WORD not in told


def test_a_candidate_that_agrees_leaves_its_digest_alone(make_studio: Callable[..., Studio], tmp_path: Path) -> None:
    studio, candidate = make_studio(), load_house(write_rules(tmp_path / "candidate", [House(WORD)]))
    shadow = Shadow(ActivePolicy.fixed(candidate))
    job = studio.ask("generate", prompt="a red circle")
    studio.work_off(replace(studio.desk, parts=replace(studio.desk.parts, shadow=shadow)))
    assert record_of(studio, studio.read(job))["shadow"] == {"policy_digest": candidate.digest}


def test_a_broken_candidate_is_noted_and_changes_nothing(
    make_studio: Callable[..., Studio], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "candidate").mkdir()
    (tmp_path / "candidate" / "harassment.toml").write_text("this is no table")
    studio = make_studio(shadow_rules=tmp_path / "candidate")
    assert "the candidate rules cannot be read, they are not asked" in caplog.text
    assert "blocked" not in caplog.text
    view = studio.done("generate", prompt="a red circle")
    assert view["state"] == "done"
    assert record_of(studio, view)["shadow"] == {"policy_digest": nothing_allowed().digest, "error": "NotReady"}


class Waiting:
    """A screener that answers when it is allowed to."""

    name, version, time_limit_s = "waiting", "1", 60.0

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def handles(self, subject: object) -> bool:
        return True

    def screen(self, subject: TextSubject) -> list[object]:
        self.go_on.wait(30)
        return []


def test_a_slow_candidate_is_not_waited_for(make_studio: Callable[..., Studio], folder: Path) -> None:
    studio, waiting = make_studio(), Waiting()
    candidate = ActivePolicy.fixed(Policy(load_house(folder).rule_set, [waiting]))  # type: ignore[list-item]
    desk = replace(studio.desk, parts=replace(studio.desk.parts, shadow=Shadow(candidate, patience_s=0.05)))
    noted = []
    try:
        for _ in range(2):
            job = studio.ask("generate", prompt="a red circle")
            studio.work_off(desk)
            view = studio.read(job)
            assert view["state"] == "done"
            noted.append(record_of(studio, view)["shadow"])
    finally:
        waiting.go_on.set()
    assert [each["error"] for each in noted] == ["Timeout", "Busy"]


# the guard


def guarded(folder: Path, guard: Sequence[Screener]) -> ActivePolicy:
    return ActivePolicy.fixed(Policy(load_house(folder).rule_set, [load_known_pictures(), *guard]))


def test_without_a_guard_the_service_says_so_and_goes_on(
    make_studio: Callable[..., Studio], folder: Path, tmp_path: Path
) -> None:
    studio = make_studio(policies=guarded(folder, guard_of_service(Settings(home=tmp_path))))
    ready = studio.http.get("/health/ready").json()
    assert (ready["status"], len(ready["policy"]["notices"])) == ("ready", 1)
    assert "STUDIO_GUARD_MODEL" in ready["policy"]["notices"][0]
    assert studio.done("generate", prompt="a red circle")["state"] == "done"


def test_where_a_guard_is_required_nothing_runs_without_one(
    make_studio: Callable[..., Studio], folder: Path, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, guard_required=True, guard_model=str(tmp_path / "nowhere"))
    studio = make_studio(policies=guarded(folder, guard_of_service(settings)))
    ready = studio.http.get("/health/ready")
    assert (ready.status_code, ready.json()["policy"]["notices"]) == (503, [])
    assert "a guard model is required" in ready.json()["checks"]["policy"]
    with guarding(settings) as guard:
        policies = guarded(folder, guard)
        assert decide(policies.current(), "a red circle") is Decision.BLOCK


def test_a_guard_that_was_named_and_does_not_load_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with guarding(Settings(home=tmp_path)):
        assert not caplog.records, "none was named, so none is missed"
    with guarding(Settings(home=tmp_path, guard_model=str(tmp_path / "nowhere"))):
        (told,) = [each.getMessage() for each in caplog.records]
    assert str(tmp_path / "nowhere") in told
