"""Train flux-mini: `python -m editing.mini.training --work DIR [stage ...]`."""

import argparse
from pathlib import Path

import torch

from editing.mini.training.pace import new_progress
from editing.mini.training.stages import MINUTES, STAGES, USUAL, Workshop
from editing.mini.training.team import Team


def main() -> None:
    """Run the stages asked for, each continuing from its saved state."""
    parser = argparse.ArgumentParser(prog="python -m editing.mini.training", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of the states and results")
    parser.add_argument("--minutes", type=float, help="time for each stage asked for, instead of its usual time")
    parser.add_argument("--processes", type=int, default=2, help="how many train together, one core each")
    parser.add_argument("stage", nargs="*", help=f"any of {', '.join(STAGES)}; by default {' '.join(USUAL)}")
    chosen = parser.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    minutes = MINUTES if chosen.minutes is None else dict.fromkeys(MINUTES, chosen.minutes)
    for stage in chosen.stage or USUAL:
        run_stage(stage, chosen.work, minutes, chosen.processes)


def run_stage(stage: str, work: Path, minutes: dict[str, float], processes: int) -> None:
    """Run one stage with a team of its own."""
    torch.set_num_threads(1)
    torch.manual_seed(0)

    def job(team: Team) -> None:
        with new_progress(shown=team.leads) as progress:
            STAGES[stage](Workshop(work=work, team=team, progress=progress, minutes=minutes))

    Team(processes).run(job)


if __name__ == "__main__":
    main()
