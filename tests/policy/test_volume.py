"""Volume rules: what is counted, what is not, and which tables are refused."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policy import Decision, PolicyError, RuleError, load_rules
from policy.documents import Document
from policy.ruleset import parse_rule_set
from policy.volume import LIMIT_FACTORS, MOST_SKETCHES, Measure, Sketch, VolumeRule, judge, parse_volume

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TABLE: dict[str, Any] = {
    "id": "usage-volume-01",
    "title": "Again and again",
    "why": "For tests.",
    "reason": "A person looks.",
    "measure": "near_identical",
    "window_seconds": 3600,
    "limit": 3,
    "action": "review",
}


def rule(**changes: Any) -> VolumeRule:
    return parse_volume("usage.toml:1", TABLE | changes)


def sketch(
    prompt: int | None = 0, *, ago: float = 0, pictures: int | None = None, of: Sequence[int] = (), about: str = ""
) -> Sketch:
    topics = frozenset({about} - {""})
    at = NOW - timedelta(seconds=ago)
    return Sketch(at=at, prompt=prompt, pictures=pictures, likenesses=frozenset(of), topics=topics)


def exceeded(given: VolumeRule, earlier: Sequence[Sketch], this: Sketch, tolerance: int = 2) -> bool:
    return judge(given, earlier, this, tolerance=tolerance) is not None


def test_one_more_than_the_limit_goes_to_review() -> None:
    this = sketch()
    assert judge(rule(), [sketch(ago=each) for each in (1, 2)], this) is None
    found = judge(rule(), [sketch(ago=each) for each in (1, 2, 3)], this)
    assert found is not None
    assert (found.rule, found.category, found.decision) == ("usage-volume-01", "usage", Decision.REVIEW)
    assert (found.reason, found.screener, found.subject) == ("A person looks.", "volume", "request")
    assert found.detail == "near_identical=4 limit=3 window=3600s"


def test_what_is_outside_the_window_or_later_does_not_count() -> None:
    inside = [sketch(ago=1), sketch(ago=3599.9)]
    assert not exceeded(rule(), [*inside, sketch(ago=3600), sketch(ago=-1)], sketch())
    assert exceeded(rule(), [*inside, sketch(ago=3599)], sketch())


@pytest.mark.parametrize(("bits", "counts"), [(0, True), (3, True), (4, False), (32, False)])
def test_prompts_are_the_same_up_to_three_bits(bits: int, counts: bool) -> None:
    others = [sketch((1 << bits) - 1, ago=each) for each in (1, 2, 3)]
    assert exceeded(rule(), others, sketch()) is counts
    assert exceeded(rule(distance=4), others, sketch()) is (bits <= 4)


def test_one_prompt_on_many_pictures_is_ordinary_work() -> None:
    batch = [sketch(ago=each, pictures=each) for each in range(1, 500)]
    assert not exceeded(rule(), batch, sketch(pictures=500))
    same = [sketch(ago=each, pictures=7) for each in (1, 2, 3)]
    assert exceeded(rule(), same, sketch(pictures=7)), "the same picture again and again is not"
    people = [sketch(ago=each, pictures=each, of=[each]) for each in (1, 2, 3)]
    assert exceeded(rule(), people, sketch(pictures=4)), "nor is one prompt about many people"


def test_a_rule_about_something_leaves_the_rest_alone() -> None:
    many = [sketch(ago=each) for each in range(1, 9)]
    votes = rule(about=["vote_process", "sure_gain"])
    assert not exceeded(votes, many, sketch())
    assert not exceeded(votes, many, sketch(about="crowd"))
    assert exceeded(votes, many, sketch(about="sure_gain"))


def test_likenesses_are_different_people_and_only_requests_about_somebody_wait() -> None:
    people = rule(measure="likenesses")
    assert not exceeded(people, [sketch(None, ago=1, of=[1, 2])] * 9, sketch(of=[1, 3])), "three are free"
    assert exceeded(people, [sketch(None, ago=1, of=[1, 2])], sketch(of=[3, 4]))
    assert not exceeded(people, [sketch(None, ago=1, of=range(50))], sketch()), "a landscape does not wait"


def test_a_request_without_a_prompt_is_near_nothing() -> None:
    assert not exceeded(rule(limit=1), [sketch(None, ago=1)], sketch(None))
    assert not exceeded(rule(limit=1), [sketch(None, ago=1)], sketch())


@pytest.mark.parametrize("tolerance", range(7))
def test_the_dial_moves_the_limit_and_never_to_nothing(tolerance: int) -> None:
    limit = int(4 * LIMIT_FACTORS[tolerance])
    many = [sketch(ago=each) for each in range(1, limit + 1)]
    assert exceeded(rule(limit=4), many, sketch(), tolerance)
    assert not exceeded(rule(limit=4), many[1:], sketch(), tolerance)
    assert rule(limit=1).limit_at(tolerance) >= 1
    assert rule(limit=1000).limit_at(tolerance) < MOST_SKETCHES


def test_there_is_no_other_tolerance() -> None:
    with pytest.raises(PolicyError, match=r"0\.\.6"):
        judge(rule(), [], sketch(), tolerance=7)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limit": 0}, "limit must be a whole number in 1..1000, got 0"),
        ({"limit": True}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"window_seconds": 59}, "window_seconds must be a whole number in 60..86400"),
        ({"window_seconds": 86_401}, "window_seconds"),
        ({"window_seconds": 60.5}, "window_seconds"),
        ({"measure": "pixels"}, "measure must be one of near_identical, likenesses, got 'pixels'"),
        ({"action": "block"}, "action must be one of review, got 'block'"),
        ({"distance": 21}, "distance must be a whole number in 0..20, got 21"),
        ({"measure": "likenesses", "distance": 3}, "distance goes with measure near_identical"),
        ({"about": "votes"}, "about must be a list"),
        ({"about": [""]}, "about must be a list of texts that are not empty"),
        ({"id": "usage"}, "id must be the category and a number"),
        ({"id": ["usage-01"]}, "id must be a text"),
        ({"reason": " "}, "reason must be a text"),
        ({"per": "hour"}, "unknown field per"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_with_its_place(changes: Mapping[str, Any], said: str) -> None:
    with pytest.raises(RuleError, match=f"^usage.toml:1: {said}"):
        rule(**changes)


@pytest.mark.parametrize("name", TABLE)
def test_every_field_is_needed(name: str) -> None:
    with pytest.raises(RuleError, match=f"^usage.toml:1: missing field {name}"):
        parse_volume("usage.toml:1", {key: value for key, value in TABLE.items() if key != name})


def test_the_shipped_rules_count_both_and_leave_room_for_batches() -> None:
    shipped = load_rules().volume
    assert {each.measure for each in shipped} == set(Measure)
    assert all(each.reason and each.where.startswith("usage.toml:") for each in shipped)
    everybody = [each for each in shipped if each.measure is Measure.NEAR_IDENTICAL and not each.about]
    assert min(each.limit for each in everybody) >= 300, "one prompt for a batch of hundreds is honest work"


def usage(name: str, *tables: Mapping[str, Any], category: str = "usage") -> Document:
    head = {"version": "2026.11.23", "category": category, "title": "Usage", "summary": "For tests."}
    text = "\n".join(f'[[volume]]\nid = "{each["id"]}"' for each in tables)
    return Document(name=name, content=head | {"volume": [dict(each) for each in tables]}, text=text)


TERMS = Document(
    name="en/terms.toml", content={"version": "2026.11.23", "language": "en", "terms": {"vote_process": ["vote"]}}
)


def test_volume_rules_come_with_the_rule_set_and_an_operators_takes_the_place_of_a_shipped_one() -> None:
    own = usage(
        "operator:usage.toml", TABLE | {"limit": 900}, TABLE | {"id": "usage-house-01", "about": ["vote_process"]}
    )
    read = parse_rule_set([usage("usage.toml", TABLE), TERMS, own])
    assert [(each.id, each.limit, each.where) for each in read.volume] == [
        ("usage-house-01", 3, "operator:usage.toml:4"),
        ("usage-volume-01", 900, "operator:usage.toml:2"),
    ]
    assert parse_rule_set([usage("usage.toml", TABLE), TERMS]).digest != read.digest


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([usage("usage.toml", TABLE, TABLE)], "usage.toml:2: usage-volume-01: id already used"),
        (
            [usage("usage.toml", TABLE), usage("operator:usage.toml", TABLE, TABLE)],
            "operator:usage.toml:2: usage-volume-01: id already used",
        ),
        (
            [usage("usage.toml", TABLE | {"about": ["nobody"]})],
            "usage.toml:2: usage-volume-01: unknown term <nobody>",
        ),
        (
            [usage("privacy.toml", TABLE, category="privacy")],
            "privacy.toml:2: id must begin with the category, privacy",
        ),
    ],
)
def test_documents_that_contradict_each_other_are_refused(documents: list[Document], said: str) -> None:
    with pytest.raises(RuleError, match=f"^{said}"):
        parse_rule_set(documents)
