"""studio bench: measurements, with a table for people and one JSON object for programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from studio.cli import bench_policy
from studio.cli.progress import counting
from studio.settings import load_settings

if TYPE_CHECKING:
    from studio.bench.cost import Costs
    from studio.bench.mini import MiniScores
    from studio.bench.seams import SeamScores

app = typer.Typer(no_args_is_help=True, help="Measure quality and speed.")


@app.callback()
def bench() -> None:
    """Measure quality and speed."""


app.command("policy")(bench_policy.policy)


@app.command("mini")
def mini(
    count: Annotated[int, typer.Option(min=2, help="Prompts per operation.")] = 48,
    sheet: Annotated[
        Path | None, typer.Option(help="Write the pictures that were judged, marked right or wrong.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure flux-mini with an independent judge: OpenCV colour and contour checks, no learned part."""
    from studio.bench.mini import run
    from studio.bench.sheet import draw_judged
    from studio.cli.output import emit
    from studio.engines import build_engine_without_store

    engine = build_engine_without_store(load_settings())
    with counting("pictures") as on_progress:
        scores = run(engine, count=count, on_progress=on_progress)
    if sheet is not None:
        sheet.parent.mkdir(parents=True, exist_ok=True)
        draw_judged(scores.judged).save(sheet)
    emit(_table(scores), scores.to_json(), as_json=as_json)


@app.command("seams")
def seams(
    count: Annotated[int, typer.Option(min=1, help="Edits; the first 16 are of 16 photographs.")] = 40,
    sheet: Annotated[Path | None, typer.Option(help="Write the borders, enlarged, method beside method.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the borders of edits: ours, diffusers' pipeline pasted plainly, and ComfyUI's published templates."""
    from studio.bench.seam_sheet import draw_seams
    from studio.bench.seams import run
    from studio.cli.output import emit
    from studio.engines import build_baselines, build_engine_without_store

    settings = load_settings()
    engine, recipes = build_engine_without_store(settings), build_baselines(settings)
    with counting("edits") as on_progress:
        scores = run(engine, recipes, count=count, on_progress=on_progress)
    if sheet is not None:
        sheet.parent.mkdir(parents=True, exist_ok=True)
        draw_seams(scores).save(sheet)
    emit(_seam_table(scores), scores.to_json(), as_json=as_json)


@app.command("large")
def large(*, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Measure peak memory and seconds of whole jobs on large pictures, each in a process of its own."""
    from studio.bench.large import CASES, run
    from studio.cli.output import emit

    with counting("jobs") as on_progress:
        costs = run(CASES, on_progress=on_progress)
    table = Table("job", "megapixels", "peak", "bound", "seconds", title="whole jobs on flux-mini")
    facts = [each.to_json() for each in costs]
    for each in facts:
        peak, bound = f"{each['peak_mb']} MB", f"{each['bound_mb']} MB"
        table.add_row(each["name"], str(each["megapixels"]), peak, bound, str(each["seconds"]))
    emit(table, {"jobs": facts}, as_json=as_json)
    raise typer.Exit(0 if all(each["within"] for each in facts) else 1)


@app.command("savings")
def savings(*, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Measure what is saved without changing a bit: calls, bytes and seconds, with and without, on flux-mini."""
    from studio.bench.savings import run, to_json
    from studio.cli.output import emit
    from studio.engines import build_savings_ground

    with counting("savings") as on_progress:
        found = run(build_savings_ground(load_settings()), on_progress=on_progress)
    table = Table("what", "counted", "without", "with", "saved", "limit", "identical", title="exact savings, flux-mini")
    for each in found:
        limit = "" if each.limit is None else f"<= {each.limit:.4g}"
        numbers = f"{each.without:.4g}", f"{each.with_:.4g}", f"{each.saved:.0%}"
        table.add_row(each.what, each.unit, *numbers, limit, "yes" if each.identical else "NO")
    emit(table, to_json(found), as_json=as_json)
    raise typer.Exit(0 if all(each.holds for each in found) else 1)


def _seam_table(scores: "SeamScores") -> Table:
    from studio.bench.seams import METHODS, summary

    table = Table(
        "mean (median)",
        *METHODS,
        "ours/plain",
        "lowest",
        title=f"borders of {len(scores.trials)} edits on the same weights, seeds and crops",
        caption="outside: change of what the mask keeps, in levels; lowest: share of edits in which ours is the lowest",
    )
    rows = {
        "border dE, 3 px": "border_de",
        "border dE, 12 px": "border_wide_de",
        "seam score": "seam_score",
        "crop's rim dE": "rim_de",
        "outside, mean": "outside_mean",
    }
    for title, measure in rows.items():
        found = [summary(scores.values(method, measure)) for method in METHODS]
        cells = [f"{each['mean']:.2f} ({each['median']:.2f})" if each else "none" for each in found]
        ratio, share = "", ""
        if measure in {"border_de", "border_wide_de", "seam_score"}:
            ratio, share = f"{scores.ratio(measure) or 0:.2f}", f"{scores.best_share(measure):.0%}"
        table.add_row(title, *cells, ratio, share)
    largest = [f"{max(scores.values(method, 'outside_max')):.0f}" for method in METHODS]
    table.add_row("outside, largest", *largest, "", "", end_section=True)
    for name, means in scores.groups().items():
        cells = [f"{means[method]:.2f}" for method in METHODS]
        table.add_row(f"3 px: {name} ({means['cases']:.0f})", *cells, f"{means['ours/plain']:.2f}", "")
    return table


@app.command("cost")
def cost(*, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Count the operations of whole edits with FLUX.1-Fill-dev, ours beside diffusers' pipeline; needs no weights."""
    from studio.bench.cost import run
    from studio.cli.output import emit
    from studio.engines import build_counter

    costs = run(build_counter())
    emit(_cost_table(costs), costs.to_json(), as_json=as_json)


def _cost_table(costs: "Costs") -> Table:
    title = f"whole jobs with FLUX.1-Fill-dev, {costs.steps} steps; 10**12 operations, a multiply-add is two"
    table = Table("edit", "picture", "ours runs at", "ours", "stock runs at", "stock", "share", "goal", title=title)
    for case in costs.cases:
        sizes = ["x".join(map(str, size)) for size in (case.case.picture, case.size, case.case.stock)]
        goal = "" if case.case.goal is None else f"<= {case.case.goal:.3f}"
        numbers = f"{case.ours / 1e12:,.0f}", f"{case.stock / 1e12:,.0f}"
        table.add_row(case.case.name, sizes[0], sizes[1], numbers[0], sizes[2], numbers[1], f"{case.share:.3f}", goal)
    return table


def _table(scores: "MiniScores") -> Table:
    table = Table("measure", "flux-mini", "target", title="flux-mini, judged by colour and contour checks")
    for name, share in scores.right.items():
        table.add_row(f"{name}: prompts right" if name != "erase" else "erase: clean", f"{share:.0%}", ">= 80 %")
    table.add_row("outpaint: colour error at the border", f"{scores.outpaint_border_de:.2f} dE", "<= 6 dE")
    gain = scores.edge_f1_with - scores.edge_f1_without
    table.add_row("edge F1 with the ControlNet", f"{scores.edge_f1_with:.2f}", ">= 0.60")
    table.add_row("edge F1 gained by it", f"{gain:+.2f}", ">= +0.25")
    for kind, score in scores.edge_f1_by.items():
        table.add_row(f"edge F1 with the union ControlNet by {kind}", f"{score:.2f}", "")
    for name, share in scores.styles.items():
        table.add_row(f"drawn in the style of {name}", f"{share:.0%}", "")
    return table
