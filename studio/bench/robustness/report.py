"""The whole measurement, on what ships or on corpora of one's own."""

from collections.abc import Callable, Sequence

from policy import Decision, Policy
from studio.bench.robustness.disguises import EVERYTHING
from studio.bench.robustness.measuring import Screen, Table, measure
from studio.bench.robustness.prompts import (
    Prompt,
    benign_prompts,
    benign_set,
    caught_prompts,
    examples_to_allow,
    examples_to_catch,
)


def screen_of(policy: Policy) -> Screen:
    """Return what says whether a policy does not simply allow texts."""
    return lambda texts: policy.screen(texts).decision is not Decision.ALLOW


def gather(
    policy: Policy, labelled: Sequence[tuple[str, bool]] = (), *, every: int
) -> tuple[Sequence[Prompt], Sequence[Prompt]]:
    """Return what the rules catch in clear, and what is benign.

    Args:
        policy: The policy.
        labelled: Texts, and whether each is unsafe; of a kind that is not among them, the rules' own examples and the
            benign set that ships are taken.
        every: Take every so many-th text.
    """
    unsafe = [text for text, is_unsafe in labelled if is_unsafe] or examples_to_catch(policy.rule_set)
    safe = [text for text, is_unsafe in labelled if not is_unsafe]
    benign = benign_prompts(policy.rule_set, (safe or benign_set())[::every])
    if not safe:
        benign += benign_prompts(policy.rule_set, examples_to_allow(policy.rule_set)[::every], contrast=True)
    return caught_prompts(policy, unsafe[::every]), benign


def run(
    policy: Policy,
    caught: Sequence[Prompt],
    benign: Sequence[Prompt],
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _everything: None,
) -> Table:
    """Measure every disguise and every way to split a text over fields.

    Args:
        policy: The policy.
        caught: Prompts that it catches in clear.
        benign: Texts that it should allow.
        on_progress: Told how many disguises are done, and how many there are.
    """
    return measure(screen_of(policy), EVERYTHING, caught=caught, benign=benign, on_progress=on_progress)
