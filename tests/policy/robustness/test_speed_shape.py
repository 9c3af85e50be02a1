"""How the work grows with the text: counted, not timed; `studio bench policy` times it."""

import time

import pytest

from policy import TEXT_LIMIT, Decision, Policy, TextSubject
from policy.readings.reader import MOST_GROWTH, MOST_READINGS
from studio.bench.robustness.speed import HUGE, WORST


@pytest.mark.parametrize("name", WORST)
def test_the_worst_inputs_have_few_readings_none_of_them_long(name: str, policy: Policy) -> None:
    text = WORST[name](TEXT_LIMIT)
    readings = policy.rule_set.reader.read(text)
    assert 0 < len(text) <= TEXT_LIMIT
    assert len(readings) <= MOST_READINGS
    assert sum(len(reading.text) for reading in readings) <= MOST_READINGS * MOST_GROWTH * len(text)


def test_a_million_characters_are_refused_before_anything_reads_them(policy: Policy) -> None:
    started = time.perf_counter()
    verdict = policy.screen([TextSubject(name="prompt", text="naked " * (HUGE // 6))])
    spent = time.perf_counter() - started
    assert verdict.decision is Decision.BLOCK
    assert {finding.screener for finding in verdict.findings} == {"policy"}
    assert spent < 0.5  # ten times the goal: it tells reading from not reading on a starved machine
