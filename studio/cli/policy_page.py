"""The page of `studio policy eval --html`: the same figures as bars, in one file without scripts or links."""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from studio.cli.policy_opening import short_names

if TYPE_CHECKING:
    from policy.evaluation import Evaluation, Rates, Share

_FEWEST = 5
"""Kinds with fewer texts say nothing and are left out; `--json` has them."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1f; --paper: #fdfdfb; --soft: #8883; --block: #b3261e;
  --review: #e0a100; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6ea; --paper: #151518; --block: #ff6b5f; --review: #f4c430; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 2rem; }
th, td { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid var(--soft); vertical-align: middle; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { position: relative; height: 1.1rem; min-width: 10rem; background: var(--soft); border-radius: 2px; }
.bar i { position: absolute; inset: 0 auto 0 0; border-radius: 2px; }
.review { background: var(--review); } .block { background: var(--block); }
.bar b { position: absolute; top: 45%; height: 10%; background: var(--ink); }
.key i { display: inline-block; width: 1rem; height: .8rem; margin: 0 .3rem 0 1rem; }
"""

_KEY = (
    '<i class="block"></i>blocked<i class="review"></i>sent to review; the line is the 95 % interval of blocked or '
    "reviewed. Of unsafe texts much is good, of safe ones little."
)


def page(found: "Mapping[str, Evaluation]", together: "Evaluation", facts: Mapping[str, Any]) -> str:
    """Return the page as HTML.

    Args:
        found: File name -> how the policy did on it.
        together: How it did on all of them.
        facts: `policy_version`, `policy_digest`, `tolerance`, `cross_validated`.
    """
    head = (
        f"version {facts['policy_version']}, digest {facts['policy_digest'][:12]}, tolerance {facts['tolerance']}"
        f"{', cross-validated' if facts['cross_validated'] else ''}"
    )
    names = short_names(found)
    parts = [
        "<h1>What the policy does</h1>",
        f"<p>{escape(head)}</p>",
        f'<p class="key">{_KEY}</p>',
        _rates("Files", {names[name]: each.everything for name, each in found.items()}),
    ]
    if len(together.languages) > 1:
        parts.append(_rates("Languages", together.languages))
    if len(together.screeners) > 1:
        parts.append(_rates("Each screener alone", together.screeners))
    for name, each in found.items():
        kinds = {kind: rates for kind, rates in each.labels.items() if rates.texts >= _FEWEST}
        confusion = {kind: row for kind, row in each.confusion.items() if sum(row.values()) >= _FEWEST}
        if kinds:
            parts.append(_rates(f"{names[name]}, by kind", kinds))
        if confusion:
            parts.append(_confusion(f"{names[name]}: unsafe texts, kind by what was found", confusion))
    title = "<title>What the policy does</title>"
    start = f'<!doctype html><html lang="en"><head><meta charset="utf-8">{title}<style>{_STYLE}</style></head><body>'
    return f"{start}{''.join(parts)}</body></html>\n"


def _rates(title: str, rows: "Mapping[str, Rates]") -> str:
    lines = "".join(
        f"<tr><th>{escape(name)}</th>{_cells(each.unsafe_blocked, each.unsafe_caught)}"
        f"{_cells(each.safe_blocked, each.safe_caught)}</tr>"
        for name, each in rows.items()
    )
    heads = '<th></th><th colspan="2">of the unsafe</th><th colspan="2">of the safe</th>'
    return f"<h2>{escape(title)}</h2><table><tr>{heads}</tr>{lines}</table>"


def _cells(blocked: "Share", caught: "Share") -> str:
    if blocked.value is None or caught.value is None:
        return "<td></td><td></td>"
    low, high = caught.interval
    bar = (
        f'<i class="review" style="width:{caught.value:.2%}"></i>'
        f'<i class="block" style="width:{blocked.value:.2%}"></i>'
        f'<b style="left:{low:.2%};width:{high - low:.2%}"></b>'
    )
    told = f"{blocked.value * 100:.1f} / {caught.value * 100:.1f} % of {caught.of}"
    return f'<td><div class="bar">{bar}</div></td><td class="number">{told}</td>'


def _confusion(title: str, confusion: Mapping[str, Mapping[str, int]]) -> str:
    from policy.evaluation import categories_of

    columns = categories_of(confusion)
    heads = "".join(f"<th>{escape(each)}</th>" for each in columns)
    lines = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(_shaded(row.get(each, 0), sum(row.values())) for each in columns)}</tr>"
        for name, row in confusion.items()
    )
    return f"<h2>{escape(title)}</h2><table><tr><th></th>{heads}</tr>{lines}</table>"


def _shaded(count: int, of: int) -> str:
    shade = (
        f' style="background:color-mix(in srgb, var(--review) {count / of * 70:.0f}%, transparent)"' if count else ""
    )
    return f'<td class="number"{shade}>{count or ""}</td>'
