"""GET /v1/policy and POST /v1/policy/screen: the rules in plain words, and words tested before they are asked for."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from policy import Policy, Severity, load_policy
from policy.verdict import Decision
from storage import Role
from studio.api.policy import prefers_page
from studio.api.rate_limits import MOST_BUCKETS, RateLimit
from studio.jobs.policy_document import page_of, policy_document
from studio.policies import ActivePolicy
from studio.problems import Problem
from tests.studio.conftest import Studio
from tests.studio.house_rules import House, load_house, write_rules

WORD, SOFT, HARD = "zorblat", "quibbern", "grubnik"
HOUSE = (
    House(WORD),
    House(SOFT, action="review", severity="medium"),
    House(HARD, severity="critical"),
    House("vexel", applies_to=("purpose",), reason="No key is for that."),
    House("mirkin", action="allow", severity="notice", reason="A professional must review it."),
)
AS_JSON = {"Content-Type": "application/json"}
MEMBERS = {
    "decision", "categories", "reasons", "notices", "safety_tolerance", "guard", "appeal", "policy_version",
    "policy_digest",
}  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> ActivePolicy:
    return ActivePolicy.fixed(load_house(write_rules(tmp_path_factory.mktemp("house"), HOUSE)))


@pytest.fixture
def studio(make_studio: Callable[..., Studio], own: ActivePolicy) -> Studio:
    return make_studio(policies=own, appeal_contact="appeals@studio.example", screen_per_minute=1_000)


def headers(studio: Studio, *, purpose: str = "test", tolerance: int = 2, role: Role = Role.EDITOR) -> dict[str, str]:
    _, token = studio.store.keys.create(owner="team", role=role, purpose=purpose, safety_tolerance=tolerance)
    return {"Authorization": f"Bearer {token}"}


def tried(studio: Studio, prompt: str = "a red circle", *, key: dict[str, str] | None = None, **more: Any) -> Any:
    response = studio.http.post("/v1/policy/screen", json={"prompt": prompt} | more, headers=key)
    assert response.status_code == 200, response.text
    return response.json()


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    document: dict[str, Any] = response.json()
    assert (response.status_code, document["code"]) == (status, code), response.text
    return document


# testing words


@pytest.mark.parametrize(
    ("prompt", "decision", "rule"),
    [("a red circle", "allow", None), (f"a {SOFT}", "review", SOFT), (f"a {WORD}", "block", WORD)],
)
def test_the_answer_names_rule_category_and_reason(
    studio: Studio, prompt: str, decision: str, rule: str | None
) -> None:
    said = tried(studio, prompt)
    assert said["decision"] == decision
    assert said["categories"] == (["harassment"] if rule else [])
    assert [(each["rule"], each["subject"]) for each in said["reasons"]] == (
        [(f"harassment-{rule}-01", "prompt")] if rule else []
    )
    assert all(set(each) == {"rule", "category", "subject", "reason"} for each in said["reasons"])
    assert ("appeals@studio.example" in said["appeal"]) if rule else said["appeal"] is None
    assert (said["guard"], said["safety_tolerance"]) == ("not asked", 2)
    assert said["policy_digest"] == studio.services.policy.digest


def test_the_shape_is_constant_and_tells_neither_words_nor_scores(studio: Studio) -> None:
    for prompt in ("a red circle", f"a {WORD}", f"a {SOFT} and a {WORD}", "a mirkin"):
        said = tried(studio, prompt)
        assert set(said) == MEMBERS
        text = json.dumps(said | {"reasons": [], "notices": []})
        assert not any(word in text for word in (WORD, SOFT, "score", "reading", "detail", "finding"))
    assert tried(studio, "a mirkin")["notices"] == [
        {"rule": "harassment-mirkin-01", "category": "harassment", "reason": "A professional must review it."}
    ]


@pytest.mark.parametrize(
    "members",
    [
        {"negative_prompt": f"a {WORD}"},
        {"second_prompts": ["a tree", f"a {WORD}"]},
        {"names": ["neon", f"{WORD}-style"]},
        {"prompt": f"a lamp --no {WORD}", "prompt_flags": True},
        {"prompt": f"a ({WORD[:3]}:1.1){WORD[3:]}"},
        {"prompt": f"a {WORD[:3]}", "names": [WORD[3:]]},
    ],
    ids=["negative", "second prompt", "name", "flag", "weights", "split"],
)
def test_every_text_is_judged_as_a_job_would_be(studio: Studio, members: dict[str, Any]) -> None:
    harmless = "negative_prompt" in members or "prompt_flags" in members
    assert tried(studio, **members)["decision"] == ("allow" if harmless else "block")


@pytest.mark.parametrize(
    ("of_key", "asked", "decision"), [(2, None, "review"), (2, 0, "block"), (6, None, "allow"), (6, 1, "block")]
)
def test_the_dial_is_the_keys_or_stricter(studio: Studio, of_key: int, asked: int | None, decision: str) -> None:
    more = {} if asked is None else {"safety_tolerance": asked}
    said = tried(studio, f"a {SOFT}", key=headers(studio, tolerance=of_key), **more)
    assert (said["decision"], said["safety_tolerance"]) == (decision, of_key if asked is None else asked)


def test_the_keys_purpose_counts(studio: Studio) -> None:
    said = tried(studio, key=headers(studio, purpose="deciding who is a vexel"))
    assert [each["subject"] for each in said["reasons"]] == ["purpose"]


def test_any_role_may_test_and_nobody_without_a_key(studio: Studio) -> None:
    for role in Role:
        tried(studio, key=headers(studio, role=role))
    problem(
        studio.http.post("/v1/policy/screen", json={"prompt": "x"}, headers={"Authorization": ""}), 401, "key_missing"
    )
    wrong = {"Authorization": "Bearer studio_nobody"}
    problem(studio.http.post("/v1/policy/screen", json={"prompt": "x"}, headers=wrong), 401, "key_invalid")


def test_what_a_trial_says_is_what_a_job_gets(studio: Studio) -> None:
    for prompt in ("a red circle", f"a {SOFT}", f"a {WORD}"):
        said = tried(studio, prompt)
        job = studio.done("generate", prompt=prompt, width=64, height=64)
        assert job["state"] == {"allow": "done", "review": "held", "block": "refused"}[said["decision"]]
        assert job["verdict"]["decision"] == said["decision"]


def test_nothing_of_a_trial_is_kept_or_logged(studio: Studio, caplog: pytest.LogCaptureFixture) -> None:
    before = (studio.counts(), sizes(studio))
    with caplog.at_level(logging.DEBUG):
        tried(studio, f"a {WORD} and a {SOFT}", names=[f"{WORD}-style"])
        half = json.dumps({"prompt": f"{WORD} \ud800"})
        problem(studio.http.post("/v1/policy/screen", content=half, headers=AS_JSON), 422, "text_invalid")
    assert (studio.counts(), sizes(studio)) == before
    assert WORD not in caplog.text
    for file in studio.settings.home_path.rglob("*"):
        assert not file.is_file() or WORD.encode() not in file.read_bytes(), file


def sizes(studio: Studio) -> list[int]:
    from sqlalchemy import text

    with studio.store.database.reading() as session:
        return [session.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in ("texts", "sketches")]


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"prompt": "x" * 4_001}, 422, "text_too_long", "prompt"),
        ({"prompt": "\u200b\u2060 "}, 422, "text_invisible", "prompt"),
        ({"prompt": "a \ud800"}, 422, "text_invalid", "prompt"),
        ({"prompt": "a", "negative_prompt": "\0"}, 422, "text_invalid", "negative_prompt"),
        ({"prompt": "a", "names": ["fine", "\u3164"]}, 422, "text_invisible", "names[1]"),
        ({"prompt": "a", "names": ["x"] * 21}, 422, "request_invalid", "names"),
        ({"prompt": "a", "second_prompts": ["x" * 4_001]}, 422, "text_too_long", "second_prompts[0]"),
        ({"prompt": "a", "names": ["x" * 4_000] * 3}, 422, "text_too_long", ""),
        ({"prompt": "a", "second_prompts": "one"}, 422, "request_invalid", "second_prompts"),
        ({"prompt": "a", "guard": False}, 422, "field_unknown", "guard"),
        ({"prompt": "a", "safety_tolerance": 3}, 422, "safety_tolerance_too_high", "safety_tolerance"),
        ({"prompt": "a", "safety_tolerance": 9}, 422, "safety_tolerance_out_of_range", "safety_tolerance"),
        ({"prompt": 7}, 422, "request_invalid", "prompt"),
        ({}, 422, "field_missing", "prompt"),
        ([], 400, "body_unreadable", None),
        ({"prompt": "a (red:1.3 circle"}, 422, "prompt_brackets_unbalanced", "prompt"),
    ],
)
def test_what_cannot_be_judged_is_a_problem(
    studio: Studio, body: Any, status: int, code: str, field: str | None
) -> None:
    response = studio.http.post("/v1/policy/screen", content=json.dumps(body), headers=AS_JSON)
    said = problem(response, status, code)
    assert said.get("field") == field
    if field == "prompt" and code != "prompt_brackets_unbalanced":
        assert type(said.get("value", 0)) is int, "lengths are told, never words"


def test_a_value_of_a_wrong_type_is_not_repeated(studio: Studio) -> None:
    for members in ({"prompt": {"x": WORD}}, {"prompt": "a", "names": {"x": WORD}}, {"prompt": "a", "names": [[WORD]]}):
        response = studio.http.post("/v1/policy/screen", json=members)
        problem(response, 422, "request_invalid")
        assert WORD not in response.text


def test_a_megabyte_is_refused_at_once(studio: Studio) -> None:
    large = json.dumps({"prompt": "x y" * 333_333}).encode()
    huge = json.dumps({"prompt": "x" * 2_100_000}).encode()
    for body, status, code in ((large, 422, "text_too_long"), (huge, 413, "body_too_large")):
        seconds = []
        for _ in range(5):
            started = time.perf_counter()
            response = studio.http.post("/v1/policy/screen", content=body, headers={"Content-Type": "application/json"})
            seconds.append(time.perf_counter() - started)
            problem(response, status, code)
        assert min(seconds) < 0.05
    longest = {"prompt": "界" * 4_000, "second_prompts": ["\U0001f600" * 4_000] * 2}
    assert len(json.dumps(longest).encode()) < 2_000_000, "what is allowed fits"


def test_without_rules_nobody_is_told_that_words_are_forbidden(make_studio: Callable[..., Studio]) -> None:
    def broken() -> Policy:
        return load_policy(rules=Path("there is no such folder"))

    studio = make_studio(policies=ActivePolicy(broken))
    problem(studio.http.post("/v1/policy/screen", json={"prompt": "a red circle"}), 503, "policy_not_ready")
    assert studio.http.get("/v1/policy").json()["categories"] == []


# how often


class HandClock:
    """Seconds that move when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills_again() -> None:
    clock = HandClock()
    rate = RateLimit("screen", 3, clock)
    assert [rate.take("a")["RateLimit"] for _ in range(3)] == [
        '"screen";r=2;t=20',
        '"screen";r=1;t=40',
        '"screen";r=0;t=60',
    ]
    with pytest.raises(Problem) as refused:
        rate.take("a")
    assert (refused.value.status, refused.value.code, refused.value.limit) == (429, "rate_limited", 3)
    assert refused.value.headers["Retry-After"] == "20"
    assert rate.take("b")["RateLimit-Policy"] == '"screen";q=3;w=60', "another key has its own"
    clock.now += 19
    with pytest.raises(Problem):
        rate.take("a")
    clock.now += 1
    assert rate.take("a")["RateLimit"] == '"screen";r=0;t=60'
    clock.now += 3_600
    assert rate.take("a")["RateLimit"] == '"screen";r=2;t=20', "a bucket never holds more than a minute's worth"


def test_full_buckets_are_forgotten() -> None:
    clock = HandClock()
    rate = RateLimit("screen", 2, clock)
    for number in range(MOST_BUCKETS):
        rate.take(f"key {number}")
    clock.now += 61
    rate.take("another")
    assert set(rate._buckets) == {"another"}


def test_too_many_trials_of_one_key_are_refused_before_the_body_is_read(
    make_studio: Callable[..., Studio], own: ActivePolicy
) -> None:
    studio = make_studio(policies=own, screen_per_minute=3)
    for left in (2, 1):
        response = studio.http.post("/v1/policy/screen", json={"prompt": "a red circle"})
        assert response.headers["RateLimit"].startswith(f'"screen";r={left};')
    problem(studio.http.post("/v1/policy/screen", content=b"{"), 415, "content_type_unsupported")
    refused = studio.http.post("/v1/policy/screen", content=b"{")
    said = problem(refused, 429, "rate_limited")
    assert (said["limit"], refused.headers["content-type"]) == (3, "application/problem+json")
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert refused.headers["RateLimit-Policy"] == '"screen";q=3;w=60'
    assert refused.headers["RateLimit"].startswith('"screen";r=0;')
    tried(studio, key=headers(studio))  # another key is not to blame
    assert studio.http.get("/v1/policy").status_code == 200, "reading the rules is free"


# the rules in plain words


def test_the_rules_are_open_and_told_at_the_keys_tolerance(studio: Studio) -> None:
    nobody = studio.http.get("/v1/policy", headers={"Authorization": ""})
    assert nobody.status_code == 200, nobody.text
    document = nobody.json()
    assert (document["version"], document["digest"]) == (studio.services.policy.version, studio.services.policy.digest)
    (category,) = document["categories"]
    assert (category["name"], category["title"], category["summary"]) == ("harassment", "House", "Rules of this house.")
    decided = {each["id"]: each["decisions"]["request"] for each in category["rules"]}
    assert decided == {
        f"harassment-{HARD}-01": "block", f"harassment-{SOFT}-01": "review", "harassment-vexel-01": "block",
        f"harassment-{WORD}-01": "block",
    }  # fmt: skip
    assert [each["id"] for each in document["notices"]] == ["harassment-mirkin-01"]
    lax = studio.http.get("/v1/policy", headers=headers(studio, tolerance=6)).json()
    assert lax["safety_tolerance"] == 6
    assert {each["id"]: each["decisions"]["request"] for each in lax["categories"][0]["rules"]} == decided | {
        f"harassment-{SOFT}-01": "allow", f"harassment-{WORD}-01": "review", "harassment-vexel-01": "review",
    }  # fmt: skip
    wrong = {"Authorization": "Bearer studio_nobody"}
    problem(studio.http.get("/v1/policy", headers=wrong), 401, "key_invalid")


def test_the_answer_is_kept_until_the_rules_change(studio: Studio) -> None:
    first = studio.http.get("/v1/policy")
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    assert {"Accept", "Authorization", "X-Api-Key"} == set(first.headers["Vary"].split(", "))
    for said in (tag, f'W/{tag}, "other"', "*"):
        again = studio.http.get("/v1/policy", headers={"If-None-Match": said})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert studio.http.get("/v1/policy", headers={"If-None-Match": '"other"'}).status_code == 200
    strict = studio.http.get("/v1/policy", headers=headers(studio, tolerance=0) | {"If-None-Match": tag})
    assert strict.status_code == 200, "another key's decisions are another document"
    page = studio.http.get("/v1/policy", headers={"Accept": "text/markdown"})
    assert page.headers["ETag"] != tag


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/markdown", True),
        ("text/*", True),
        ("Text/Markdown; charset=utf-8", True),
        ("application/json, text/markdown;q=0.5", False),
        ("application/json;q=0.5, text/markdown", True),
        ("text/markdown;q=0", False),
        ("text/*, text/markdown;q=0", False),
        ("text/markdown;q=abc", False),
        ("text/html", False),
    ],
)
def test_a_page_is_given_to_whoever_prefers_it(accept: str, page: bool) -> None:
    assert prefers_page(accept) is page


def test_the_page_says_what_the_document_says(studio: Studio) -> None:
    page = studio.http.get("/v1/policy", headers={"Accept": "text/markdown"})
    assert page.headers["content-type"] == "text/markdown; charset=utf-8"
    assert f"- **About {WORD}** (`harassment-{WORD}-01`): refused. This house does not make that." in page.text
    assert f"- **About {SOFT}** (`harassment-{SOFT}-01`): held for review." in page.text
    assert "| medium | review | block | block | review | review | allow | allow | allow |" in page.text
    assert "write to appeals@studio.example: a person will look at it." in page.text


@pytest.fixture(scope="module")
def shipped(policy: Policy) -> dict[str, Any]:
    return policy_document(policy, 2, None)


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, str):
        yield value
    elif not isinstance(value, bool | int | float | None):
        for each in value:
            yield from texts_of(each)


def test_the_shipped_rules_are_told_whole_and_nothing_inner_with_them(policy: Policy, shipped: dict[str, Any]) -> None:
    rules = policy.rule_set.rules
    told = [each for category in shipped["categories"] for each in category["rules"]] + shipped["notices"]
    assert {each["id"] for each in told} == {each.id for each in rules}
    assert {each["id"] for each in shipped["volume"]} == {each.id for each in policy.rule_set.volume}
    every = "\n".join((*texts_of(shipped), page_of(shipped)))
    for rule in rules:
        assert rule.reason in every
        assert rule.why not in every
        assert not any(example.text in every for example in (*rule.allow, *rule.catch))
    for volume in policy.rule_set.volume:
        assert volume.reason in every
        assert volume.why not in every
    assert set(told[0]) == {"id", "title", "reason", "severity", "decisions", "reads", "languages"}


@pytest.mark.parametrize("tolerance", range(7))
def test_critical_rules_block_at_every_tolerance(policy: Policy, tolerance: int) -> None:
    document = policy_document(policy, tolerance, None)
    told = [each for category in document["categories"] for each in category["rules"]]
    critical = [each for each in told if each["severity"] == Severity.CRITICAL.value]
    assert critical
    assert all(set(each["decisions"].values()) == {Decision.BLOCK.value} for each in critical)
