"""Counting what a policy does on labelled texts, and reading them."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import Policy, TextSubject, allowing_finding
from policy.corpus import CorpusError, LabelledLine, read_labelled_lines, read_lines
from policy.cross_validation import CrossValidated, cross_validated
from policy.evaluation import Answer, Judged, Share, alone, answer_of, evaluate, false_alarms, misses
from policy.failures import Failure, failure_finding
from policy.ruleset import parse_rule_set
from policy.verdict import Decision, Finding, combine
from tests.policy.documents import category, language

ALLOW, REVIEW, BLOCK = Decision.ALLOW, Decision.REVIEW, Decision.BLOCK


def lines(*documents: object) -> list[bytes]:
    return [each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in documents]


def finding(rule: str, decision: Decision, *, category: str = "minors", score: float = 0.0, screener: str = "rules"):
    return Finding(
        rule=rule, category=category, decision=decision, reason="", screener=screener, subject="prompt", score=score
    )


def verdict(*findings: Finding):
    return combine(findings, policy_version="2026.01.01", policy_digest="0" * 64)


def judged(
    decision: Decision,
    *,
    unsafe: bool,
    labels: Sequence[str] = (),
    category: str = "minors",
    language: str = "en",
    score: float = 0.5,
    by_screener: dict[str, Decision] | None = None,
) -> Judged:
    line = LabelledLine(id="1", text="a text", unsafe=unsafe, labels=tuple(labels), language=language)
    answer = Answer(
        decision=decision,
        category="none" if decision is ALLOW else category,
        rules=(),
        score=score,
        by_screener=by_screener or {"rules": decision},
    )
    return Judged(line=line, answer=answer)


def test_wilsons_interval_is_that_of_the_textbooks() -> None:
    low, high = Share(8, 10).interval
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    low, high = Share(0, 10).interval
    assert (low, round(high, 4)) == (0.0, 0.2775)


def test_a_share_of_nothing_is_no_number() -> None:
    assert Share(0, 0).value is None
    assert Share(0, 0).interval == (0.0, 1.0)
    assert Share(0, 0).to_json()["share"] is None


@given(st.integers(1, 10_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_an_interval_holds_its_share_and_stays_within_bounds(pair: tuple[int, int]) -> None:
    share = Share(*pair)
    low, high = share.interval
    assert share.value is not None
    assert 0 <= low <= share.value <= high <= 1
    assert (low, high) != (0, 1)


def test_an_answer_takes_category_from_the_strictest_finding_and_score_from_the_highest() -> None:
    answer = answer_of(
        verdict(
            finding("privacy-01", REVIEW, category="privacy", score=0.9),
            finding("minors-01", BLOCK, score=0.6),
            finding("minors-01", BLOCK, score=0.6),
            finding("head.score", ALLOW, category="none", score=0.95, screener="head"),
        )
    )
    assert answer.to_json() == {
        "decision": "block",
        "category": "minors",
        "rules": ["privacy-01", "minors-01"],
        "score": 0.95,
    }
    assert answer.by_screener == {"rules": BLOCK, "head": ALLOW}


def test_an_answer_that_allows_has_no_category_even_with_a_notice() -> None:
    answer = answer_of(verdict(finding("usage-01", ALLOW, category="usage")))
    assert (answer.category, answer.rules) == ("none", ())


def test_what_could_not_be_screened_counts_in_full() -> None:
    answer = answer_of(verdict(failure_finding(Failure.TEXT_TOO_LONG, subject="prompt")))
    assert (answer.decision, answer.category, answer.score) == (BLOCK, "policy", 1.0)
    assert alone(answer, "head") is BLOCK


def test_an_evaluation_counts_blocked_and_caught_apart() -> None:
    found = evaluate(
        [
            judged(BLOCK, unsafe=True, labels=["a"]),
            judged(REVIEW, unsafe=True, labels=["a", "b"], category="privacy", language="zh"),
            judged(ALLOW, unsafe=True, labels=["b"]),
            judged(BLOCK, unsafe=False, labels=["c"]),
            judged(ALLOW, unsafe=False),
        ]
    )
    assert found.everything.texts == 5
    assert found.everything.unsafe_blocked == Share(1, 3)
    assert found.everything.unsafe_caught == Share(2, 3)
    assert found.everything.safe_blocked == Share(1, 2)
    assert found.languages["zh"].unsafe_caught == Share(1, 1)
    assert found.labels["b"].unsafe_caught == Share(1, 2)
    assert found.confusion == {"a": {"minors": 1, "privacy": 1}, "b": {"privacy": 1, "none": 1}}
    assert found.found == {"minors": (1, 1), "privacy": (1, 0)}
    assert json.loads(json.dumps(found.to_json()))["safe"]["caught"]["count"] == 1


def test_what_each_screener_adds_is_told() -> None:
    rows = [
        judged(BLOCK, unsafe=True, by_screener={"rules": BLOCK, "head": ALLOW}),
        judged(REVIEW, unsafe=True, by_screener={"rules": ALLOW, "head": REVIEW}),
    ]
    rows.append(judged(BLOCK, unsafe=False, by_screener={"rules": BLOCK, "head": REVIEW}))
    assert evaluate(rows).only == {"rules": (1, 0), "head": (1, 0)}
    found = evaluate(rows).screeners
    assert found["rules"].unsafe_caught == Share(1, 2)
    assert found["head"].unsafe_blocked == Share(0, 2)
    assert found["head"].unsafe_caught == Share(1, 2)


def test_misses_and_false_alarms_are_told_apart() -> None:
    near, far = judged(ALLOW, unsafe=True, score=0.4), judged(ALLOW, unsafe=True, score=0.1)
    blocked, reviewed = judged(BLOCK, unsafe=False), judged(REVIEW, unsafe=False)
    rows = [near, reviewed, far, blocked, judged(BLOCK, unsafe=True), judged(ALLOW, unsafe=False)]
    assert misses(rows) == [far, near]
    assert false_alarms(rows) == [blocked, reviewed]


def test_lines_are_read_in_order_and_keep_their_ids() -> None:
    given = lines({"id": "a", "text": "one", "other": 1}, b"\n", {"id": 7, "text": ""})
    assert [(each.id, each.text) for each in read_lines(given, "corpus")] == [("a", "one"), (7, "")]


def test_a_byte_order_mark_at_the_start_is_no_part_of_the_line() -> None:
    assert [each.id for each in read_lines([b"\xef\xbb\xbf" + lines({"id": "a", "text": "x"})[0]], "corpus")] == ["a"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"not json at all", "not JSON"),
        (b"[1]", "JSON object, got list"),
        (b'{"id": "a"}', "text must be a text, got nothing"),
        (b'{"text": "a"}', "id must be a text or a whole number, got nothing"),
        (b'{"id": true, "text": "a"}', "id must be"),
        (b'{"id": "a", "text": 3}', "text must be a text, got int"),
        (b'{"id": "a", "text": "\\ud800 x"}', "text holds a lone surrogate at character 1"),
        (b'{"id": "a", "text": "\xff"}', "not UTF-8"),
        (b'{"id": "a", "text": "\\u200b \\u3164\\ufeff"}', "text has 4 characters and none that anybody could see"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_is_named_by_file_and_line(line: bytes, told: str) -> None:
    read = read_lines([*lines({"id": "a", "text": "fine"}), line], "folder/corpus.jsonl")
    assert next(read).id == "a"  # those before it are good
    with pytest.raises(CorpusError, match=r"folder/corpus\.jsonl:2") as caught:
        next(read)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "extra",
    [{}, {"label": "bad"}, {"label": "safe", "source_labels": "x"}, {"label": "safe", "lang": 1}],
)
def test_a_label_must_be_one_of_two(extra: dict[str, object]) -> None:
    with pytest.raises(CorpusError, match="corpus:1"):
        list(read_labelled_lines(lines({"id": "a", "text": "secret", **extra}), "corpus"))


def test_messages_never_repeat_a_text() -> None:
    with pytest.raises(CorpusError) as caught:
        list(read_labelled_lines(lines({"id": "a", "text": "b", "label": "a secret sentence"}), "corpus"))
    assert "secret" not in str(caught.value)


class Trained:
    """Reviews what it was trained on, and what a text on its list says at tolerance 0."""

    name, version, time_limit_s = "trained", "1", 5.0

    def __init__(self, seen: frozenset[str]) -> None:
        self._seen = seen

    def handles(self, subject) -> bool:
        return isinstance(subject, TextSubject)

    def screen(self, subject):
        return self.screen_at(subject, 2)

    def screen_at(self, subject, tolerance: int):
        if subject.text in self._seen or tolerance == 0:
            return [finding("trained-01", REVIEW, category="harassment", score=0.8, screener=self.name)]
        return [allowing_finding(self.name, subject.name)]

    def held_out(self, text: str) -> "Trained":
        return Trained(self._seen - {text})


def test_a_trained_screener_is_measured_on_what_it_has_not_seen() -> None:
    rules = parse_rule_set([category(), language("en"), language("zh")])
    plain = Policy(rules, [Trained(frozenset({"seen"}))])
    honest = cross_validated(plain)
    seen = [TextSubject(name="prompt", text="seen")]
    assert (plain.screen(seen).decision, honest.screen(seen).decision) == (REVIEW, ALLOW)
    assert honest.screen(seen, tolerance=0).decision is REVIEW
    assert [each.name for each in honest.screeners] == [each.name for each in plain.screeners]
    assert honest.screen([TextSubject(name="prompt", text="forbidden")]).decision is BLOCK


def test_a_policy_without_trained_screeners_needs_no_folds() -> None:
    policy = Policy(parse_rule_set([category(), language("en"), language("zh")]), [])
    assert cross_validated(policy) is policy
    with pytest.raises(TypeError, match="RuleScreener holds nothing out"):
        CrossValidated(policy.screeners[0])
