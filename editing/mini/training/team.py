"""Training on several cores: one process a core, each with its own batch, gradients averaged every step.

Operators of a tiny model are too short to share between threads; whole batches are not. The processes start equal,
see the same mean gradient, and so stay equal.
"""

import multiprocessing
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

_CAPACITY = 4_000_000  # numbers in the largest gradient that is exchanged


class Team:
    """One member's view of the processes that train together.

    Args:
        size: How many there are.
    """

    def __init__(self, size: int) -> None:
        context = multiprocessing.get_context("fork")
        self.size = size
        self.rank = 0
        self._board = torch.zeros(size, _CAPACITY).share_memory_()  # type: ignore[no-untyped-call]
        self._barrier = context.Barrier(size)

    @property
    def leads(self) -> bool:
        """Whether this is the member that reports and saves."""
        return self.rank == 0

    def average(self, tensors: list[Tensor], leader_says: float) -> float:
        """Replace tensors by their mean over the team, in place.

        Args:
            tensors: The same shapes at every member.
            leader_says: A number of which everybody gets the leader's.

        Returns:
            The leader's number.
        """
        if self.size == 1:
            return leader_says
        count = sum(tensor.numel() for tensor in tensors)
        if tensors:
            self._board[self.rank, :count] = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._board[self.rank, -1] = leader_says
        self._barrier.wait()
        mean = self._board[:, :count].mean(0)
        said = float(self._board[0, -1])
        self._barrier.wait()
        parts = mean.split([tensor.numel() for tensor in tensors]) if tensors else ()
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))
        return said

    def wait(self) -> None:
        """Wait until every member is here."""
        if self.size > 1:
            self._barrier.wait()

    def run(self, job: Callable[[Self], None]) -> None:
        """Run a job at every member, this process being the leader.

        Raises:
            RuntimeError: Another member failed.
        """
        context = multiprocessing.get_context("fork")
        others = [context.Process(target=self._follow, args=(job, rank), daemon=True) for rank in range(1, self.size)]
        for other in others:
            other.start()
        torch.set_num_threads(1)
        try:
            job(self)
        except BaseException:
            self._barrier.abort()
            raise
        for other in others:
            other.join()
        if any(other.exitcode for other in others):
            raise RuntimeError("a member of the training team failed; its traceback is above")

    def _follow(self, job: Callable[[Self], None], rank: int) -> None:
        self.rank = rank
        torch.set_num_threads(1)
        try:
            job(self)
        except BaseException:
            self._barrier.abort()
            raise
