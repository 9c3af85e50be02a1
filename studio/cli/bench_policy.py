"""studio bench policy: what disguises hide from the policy, and how long it takes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from studio.cli.policy_opening import AsJson, RulesFolder, open_policy, own_rules, read_corpora
from studio.cli.progress import counting

if TYPE_CHECKING:
    from studio.bench.robustness import Table as Measured
    from studio.bench.robustness.speed import Speed


def policy(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Corpora to disguise, as for `studio policy eval`; without any, the rules' own examples and the "
            "benign set that ships."
        ),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Take every so many-th text.")] = 4,
    rules: RulesFolder = None,
    misses: Annotated[
        Path | None, typer.Option(help="Write what was missed and what was refused wrongly; it may be offensive.")
    ] = None,
    *,
    speed: Annotated[bool, typer.Option(help="Time it too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Disguise what the policy catches in clear, and see what is still caught: letters, codes, syntax, split fields.

    A row is a disguise. Kept is the share of texts caught in clear that are caught in disguise too; benign is by how
    many points the share of benign texts refused rises when they wear it, contrast the same for those close to what is
    refused. Exit code 1 if a goal is missed.

    Try: `studio bench policy --every 10 --misses misses.txt`
    """
    from studio.bench.robustness.report import gather, run
    from studio.bench.robustness.speed import time_policy
    from studio.cli.output import emit

    opened = open_policy(own_rules(rules))
    if opened.ready().problems:  # everything is blocked, so every disguise would look perfect
        raise typer.Exit(2)
    lines = [line for corpus in read_corpora(files or ()).values() for line in corpus]
    caught, benign = gather(opened, [(line.text, line.unsafe) for line in lines], every=every)
    with counting("disguises") as on_progress:
        table = run(opened, caught, benign, on_progress=on_progress)
    timed = time_policy(opened, [prompt.text for prompt in benign]) if speed else None
    if misses is not None:
        misses.write_text("".join(f"{line}\n" for row in table.rows for line in row.lines()), "utf-8")
    emit(_drawn(table, timed), table.to_json() | ({"speed": timed.to_json()} if timed else {}), as_json=as_json)
    raise typer.Exit(1 if table.short_of_goals() else 0)


def _drawn(measured: "Measured", timed: "Speed | None") -> Table:
    short = measured.short_of_goals()
    caption = f"mean kept {measured.mean():.3f} (en {measured.mean('en'):.3f}, zh {measured.mean('zh'):.3f}); "
    caption += f"{len(short)} goals missed" if short else "all goals met"
    if timed:
        steepest = max(timed.worst, key=lambda each: each.slope)
        longest = max(timed.worst, key=lambda each: each.ms[-1])
        caption += (
            f"\n{timed.prompts} benign prompts: p50 {timed.p50_ms:.1f} ms, p95 {timed.p95_ms:.1f} ms; a million"
            f" characters refused in {timed.huge_ms:.1f} ms\n"
            f"worst at 4,000 characters: {longest.name}, {longest.ms[-1]:.0f} ms; steepest: "
            f"{steepest.name}, {steepest.slope:.2f} x linear"
        )
    table = Table("disguise", "family", "kept, en", "kept, zh", "of", "benign", "contrast", caption=caption)
    for row in measured.rows:
        kept = ["" if (share := row.share_kept(each)) is None else f"{share:.3f}" for each in ("en", "zh")]
        rises = [f"{100 * each.rise:+.1f}" for each in (row.benign, row.contrast)]
        table.add_row(row.name, row.family.value, *kept, str(sum(row.tried.values())), *rises)
    return table
