"""Variants: one request, n pictures, each on a seed of its own. Pure.

Variants stand or fall together: they share one request, one verdict and one record, and none is published before the
last one has passed its screening. Somebody who draws eight times to get one picture past the policy gets none.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from editing import ControlMap, Operation, Progress, derived_seed
from editing.errors import within

VARIANTS: Final = (1, 8)
"""How many pictures one request may ask for."""


def check_count(count: int) -> int:
    """Check how many variants are asked for.

    Returns:
        The same number.

    Raises:
        OperationError: `variants_out_of_range`.
    """
    within("variants_out_of_range", "n", count, VARIANTS)
    return count


def variant(operation: Operation, number: int) -> Operation:
    """One variant of an operation.

    Args:
        operation: What was asked for, with the request's seed.
        number: Which variant; number 0 is the operation itself.

    Returns:
        The same operation on the variant's own seed.
    """
    if number == 0 or isinstance(operation, ControlMap):
        return operation  # a control map is not sampled: it has no seed to vary
    seed = derived_seed(operation.sampling.seed, "variant", number)
    return replace(operation, sampling=replace(operation.sampling, seed=seed))


class Steps:
    """Counts the steps of all variants as those of one run: step k * steps + i of n * steps.

    An edit that is painted again on the way (see `SeamRetry`) takes more steps than its variants to come are known to
    take, so the total is an estimate until the last variant; the steps done never go back.
    """

    def __init__(self, on_step: Callable[[Progress], None], count: int) -> None:
        self._on_step = on_step
        self._count = count
        self._done = 0

    def of(self, number: int) -> Callable[[Progress], None]:
        """What the engine tells each step of variant `number`; asked for once, when it begins."""
        before = self._done

        def tell(progress: Progress) -> None:
            self._done = before + progress.step
            self._on_step(Progress(step=self._done, steps=before + (self._count - number) * progress.steps))

        return tell


def output_name(number: int, count: int) -> str:
    """What findings and reasons call one finished picture: `output`, or `output[k]` where there are several."""
    return "output" if count == 1 else f"output[{number}]"
