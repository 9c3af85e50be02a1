"""How every stage keeps to its time, shows its progress, and survives being stopped."""

import copy
import time
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from editing.mini.training.team import Team

_SAVE_EVERY_S = 120.0
_LOG_EVERY = 50
_CLIP = 1.0
_WARM_UP = 100  # steps
_FALL = 0.35  # last share of the time, in which the rate falls


class Weighted:
    """A module, its optimisers, and the running average of its weights.

    Args:
        module: Trained in place.
        optimisers: Step together; each group's rate is its share of `rate`, kept under "share" (1 if absent).
        decay: Decay of the running average per step; it warms up, so early weights do not linger.
        team: The processes that train it together; alone if None.
    """

    def __init__(
        self,
        module: nn.Module,
        optimisers: "torch.optim.Optimizer | list[torch.optim.Optimizer]",
        decay: float,
        team: Team | None = None,
    ) -> None:
        self.team = team
        self.module = module
        self.optimisers = optimisers if isinstance(optimisers, list) else [optimisers]
        self.average = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)
        self.decay = decay
        self.steps = 0
        self._trained: list[Tensor] = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._averages: list[Tensor] = [
            mean
            for mean, parameter in zip(self.average.parameters(), module.parameters(), strict=True)
            if parameter.requires_grad
        ]

    def step(self, loss: Tensor, *, rate: float) -> None:
        """Take one optimiser step down the gradient of `loss` at a learning rate (the leader's, in a team)."""
        self.module.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.team is not None:
            gradients = [parameter.grad for parameter in self._trained if parameter.grad is not None]
            rate = self.team.average(gradients, rate)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * group.get("share", 1.0)
        nn.utils.clip_grad_norm_(self._trained, _CLIP)
        for optimiser in self.optimisers:
            optimiser.step()
        self.steps += 1
        if self.team is not None and not self.team.leads:
            return
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, self._trained, 1 - decay)

    def averaged(self) -> Any:
        """Return the module with the averaged weights."""
        return self.average

    def state(self) -> dict[str, Any]:
        """Everything needed to continue."""
        return {
            "module": self.module.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "steps": self.steps,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.module.load_state_dict(state["module"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.steps = state["steps"]


class Pace:
    """Runs one stage for a given time, saving its state on the way.

    Args:
        name: The stage, shown with its progress; its state is `name`.pt.
        seconds: Wall-clock budget.
        work: Folder of the states.
        progress: Where the bar is drawn.
        team: The processes that train together: the leader's clock is everybody's. Alone if None.
    """

    def __init__(self, name: str, seconds: float, work: Path, progress: Progress, *, team: Team | None = None) -> None:
        self.name, self.seconds, self.team = name, seconds, team
        self.steps = 0
        self._path = work / f"{name}.pt"
        self._progress = progress
        self._task = progress.add_task(name, total=seconds, values="")
        self._spent = self._agreed = 0.0
        self._since = self._saved = time.monotonic()
        self._sums: dict[str, float] = {}
        self._model: Weighted | None = None

    @property
    def spent(self) -> float:
        """Seconds of the budget that are gone, those before a restart included."""
        return self._spent + time.monotonic() - self._since

    @property
    def done(self) -> float:
        """Share of the budget that was gone when `goes_on` last looked, 0..1; the same for the whole team."""
        return min(1.0, self._agreed / self.seconds)

    @property
    def resumed_at(self) -> int:
        """Steps in the saved state; 0 where there is none."""
        return int(torch.load(self._path, weights_only=True)["steps"]) if self._path.exists() else 0

    def goes_on(self) -> bool:
        """Say whether there is time for another step; saves now and then."""
        if self._model is not None and time.monotonic() - self._saved > _SAVE_EVERY_S:
            self.save(self._model)
        self._agreed = self.spent if self.team is None else self.team.average([], self.spent)
        return self._agreed < self.seconds

    def rate(self) -> float:
        """Return the share of the peak learning rate for this moment: a short rise, a plateau, a fall to zero."""
        return min(1.0, (self.steps + 1) / _WARM_UP, (1 - self.done) / _FALL + 1e-3)

    def report(self, **values: float) -> None:
        """Count a step and show the running means of its values."""
        self.steps += 1
        if self.team is not None and not self.team.leads:
            return
        for key, value in values.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
        self._progress.update(self._task, completed=min(self.spent, self.seconds))
        if self.steps % _LOG_EVERY == 0:
            shown = " ".join(f"{key} {total / _LOG_EVERY:.4f}" for key, total in self._sums.items())
            self._sums.clear()
            self._progress.update(self._task, values=shown)
            if not self._progress.console.is_terminal:
                self._progress.console.print(f"{self.name} {self.spent:.0f} s, step {self.steps}: {shown}")

    def save(self, model: Weighted) -> None:
        """Write the state in one move; in a team the leader does."""
        self._saved = time.monotonic()
        if self.team is not None and not self.team.leads:
            return
        part = self._path.with_suffix(".part")
        torch.save({"model": model.state(), "spent": self.spent, "steps": self.steps}, part)
        part.replace(self._path)

    def resume(self, model: Weighted) -> None:
        """Load the stage's saved state where there is one, and remember the model for later saves."""
        self._model = model
        if self._path.exists():
            saved = torch.load(self._path, weights_only=True)
            model.load(saved["model"])
            self._spent, self.steps = saved["spent"], saved["steps"]
        self._since = time.monotonic()


def new_progress(*, shown: bool = True) -> Progress:
    """Build the progress display that all stages share."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[values]}")
    return Progress(*columns, disable=not shown)
