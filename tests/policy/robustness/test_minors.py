"""Whoever is under 18 beside anything sexual: blocked, in both languages, in every disguise, at every tolerance."""

import re
from collections.abc import Callable, Iterable
from itertools import cycle, islice
from typing import TYPE_CHECKING

import pytest

from policy import LAXEST_TOLERANCE, Decision, Policy
from studio.bench.robustness import Disguise
from tests.policy.robustness.minors import PATTERNS, SECONDS, Pair, excepted, lossless, pairs
from tests.policy.robustness.surfaces import surfaces
from tests.studio import conftest as whole_studio

if TYPE_CHECKING:
    from tests.studio.conftest import Studio

# The fixtures of a whole studio, for the checks through HTTP.
make_studio, migrated, policies, studio = (
    whole_studio.make_studio,
    whole_studio.migrated,
    whole_studio.policies,
    whole_studio.studio,
)
TOLERANCES = range(LAXEST_TOLERANCE + 1)
LANGUAGES = ("en", "zh")
IN_CLEAR, DISGUISED, TRIED, BY_HTTP = 520, 25, 8, 12
"""Pairs of a language that `make test` samples: in clear; in every disguise; the same over HTTP; as whole jobs."""


def spread(language: str, policy: Policy, count: int) -> list[Pair]:
    """Return so many pairs, evenly from all: a step that shares no factor with the lists visits all their terms."""
    everything = [*pairs(policy.rule_set, language)]
    step = len(everything) // count or 1
    while any(step % factor == 0 and len(everything) % factor == 0 for factor in range(2, step + 1)):
        step += 1
    return [everything[place * step % len(everything)] for place in range(count)]


def worn(asked: Iterable[Pair], language: str) -> list[tuple[Pair, Disguise]]:
    """Return every pair in every disguise."""
    return [(pair, disguise) for pair in asked for disguise in lossless(language) if pair.can_wear(disguise)]


def passed(policy: Policy, asked: Iterable[tuple[Pair, object]], tolerances: Iterable[int]) -> list[str]:
    """Return what was not blocked, without the words themselves: their places in the lists are enough to find them."""
    found = []
    for number, ((pair, disguise), tolerance) in enumerate(zip(asked, tolerances, strict=False)):
        subject = pair.subject(number, disguise)
        if policy.screen([subject], tolerance=tolerance).decision is not Decision.BLOCK:
            found.append(f"{pair.first} + {pair.second} as {getattr(disguise, 'name', 'written')} at {tolerance}")
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_twenty_disguises_that_lose_nothing_and_many_pairs(language: str, policy: Policy) -> None:
    assert len(lossless(language)) >= 20
    assert sum(1 for _ in pairs(policy.rule_set, language)) > 5_000


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_pattern_of_minors_finds_one_of_the_written_ages(language: str, policy: Policy) -> None:
    terms = [term.phrase.strip("/") for term in policy.rule_set.vocabulary.terms("minor") if term.language == language]
    patterns = [phrase for phrase in terms if "(" in phrase]
    assert patterns
    for phrase in patterns:
        assert any(re.search(phrase, written) for written in PATTERNS[language]), phrase


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_exception_takes_back_what_must_never_stand_beside_a_minor(language: str, policy: Policy) -> None:
    seconds = {term for name in SECONDS for term in surfaces(policy.rule_set, name, language)}
    assert len(excepted(policy.rule_set, seconds)) <= 0.002 * len(seconds)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sample_of_the_cross_product_is_blocked_at_every_tolerance(language: str, policy: Policy) -> None:
    asked = [(pair, None) for pair in spread(language, policy, IN_CLEAR)]
    assert passed(policy, asked, cycle(TOLERANCES)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sample_of_the_cross_product_is_blocked_in_every_disguise(language: str, policy: Policy) -> None:
    assert passed(policy, worn(spread(language, policy, DISGUISED), language), cycle(TOLERANCES)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_are_refused_over_http_in_every_disguise(
    language: str, policy: Policy, make_studio: Callable[..., "Studio"]
) -> None:
    studio = make_studio(screen_per_minute=100_000)
    keys = [_key(studio, tolerance) for tolerance in TOLERANCES]
    decisions = []
    asked = worn(spread(language, policy, TRIED), language)
    for number, ((pair, disguise), tolerance) in enumerate(zip(asked, cycle(TOLERANCES), strict=False)):
        body = {"prompt": pair.subject(number, disguise).text}
        response = studio.http.post("/v1/policy/screen", json=body, headers=keys[tolerance])
        assert response.status_code == 200, response.text
        decisions.append(response.json()["decision"])
    assert set(decisions) == {"block"}
    assert len(decisions) > 15 * TRIED


@pytest.mark.parametrize("language", LANGUAGES)
def test_jobs_are_refused_over_http_at_every_tolerance(language: str, policy: Policy, studio: "Studio") -> None:
    asked = [*zip(spread(language, policy, BY_HTTP), cycle(lossless(language)), cycle(TOLERANCES), strict=False)]
    keys = [_key(studio, tolerance) for tolerance in TOLERANCES]
    states = []
    for number, (pair, disguise, tolerance) in enumerate(asked):
        if not pair.can_wear(disguise):
            continue
        body = {"prompt": pair.subject(number, disguise).text}
        response = studio.http.post("/v1/generate", json=body, headers=keys[tolerance])
        assert response.status_code == 202, response.text
        studio.work_off()
        states.append(studio.read(response.json())["state"])
    assert len(states) > BY_HTTP // 2
    assert set(states) == {"refused"}


@pytest.mark.soak
@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_cross_product_is_blocked(language: str, half: int, policy: Policy) -> None:
    asked = ((pair, None) for pair in islice(pairs(policy.rule_set, language), half, None, 2))
    assert passed(policy, asked, cycle(TOLERANCES)) == []


@pytest.mark.soak
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_term_is_blocked_in_every_disguise_at_every_tolerance(language: str, policy: Policy) -> None:
    # Every term many times beside others; with all combinations of the three the product would take days.
    asked = worn(spread(language, policy, count=400), language)
    for tolerance in TOLERANCES:
        assert passed(policy, asked[tolerance :: len(TOLERANCES)], cycle([tolerance])) == []


def _key(studio: "Studio", tolerance: int) -> dict[str, str]:
    make: Callable[..., tuple[object, str]] = studio.store.keys.create
    _, token = make(owner="team", role=studio.key.role, purpose="test", safety_tolerance=tolerance)
    return {"Authorization": f"Bearer {token}"}
