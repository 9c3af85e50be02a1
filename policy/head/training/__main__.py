"""Trains the head and writes `weights.npz` and `trained.toml`.

    python -m policy.head.training --data FOLDER [--out policy/head]

FOLDER holds the sets named in `sources.toml`, `{set}.jsonl`, an object a line: {"text", "label": "safe" | "unsafe",
"source_labels": [...]}. Six models are fitted: one on everything, and one per fold on all the others, from which the
thresholds are chosen and the figures printed. About two minutes on one core; the same rows give the same bytes.
"""

import argparse
import hashlib
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from policy.evaluation import Share
from policy.head.documents import SCRIPTS
from policy.head.loading import PACKAGE, load_masks
from policy.head.screener import is_chinese
from policy.head.training.calibrating import thresholds
from policy.head.training.fitting import fit
from policy.head.training.prepared import FOLDS, PreparedRow, prepare
from policy.head.training.rows import read_sources, written_rows
from policy.head.weights import Weights, quantised, text_key, to_bytes
from policy.tolerance import DEFAULT_TOLERANCE

_Scores = NDArray[np.float64]


def main() -> None:
    """Train, choose thresholds, write, and print what was reached."""
    parser = argparse.ArgumentParser(description="Train the learned head.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets, {set}.jsonl")
    parser.add_argument("--out", type=Path, default=Path("policy/head"), help="where to write (policy/head)")
    options = parser.parse_args()
    outputs = tomllib.loads(resources.files(PACKAGE).joinpath("outputs.toml").read_text("utf-8"))
    categories = tuple(outputs["reasons"])

    # 1. Rows, in folds.
    rows = prepare([*read_sources(options.data), *written_rows()], load_masks())

    # 2. One model on everything, one per fold on all the others.
    parts = [rows, *([each for each in rows if each.fold != fold] for fold in range(FOLDS))]
    models = [fit(part, categories) for part in track(parts, "Fitting", console=Console(stderr=True))]
    weights = _weights(rows, *quantised(models))

    # 3. Scores as they would be for texts never seen, by what will be shipped: the rounded weights.
    scores = _unseen_scores(rows, weights)
    chosen = {script: thresholds(rows, scores, outputs, script) for script in SCRIPTS}

    # 4. Files.
    content = to_bytes(weights)
    (options.out / "weights.npz").write_bytes(content)
    (options.out / "trained.toml").write_text(_document(content, categories, chosen), "utf-8")
    _print(rows, scores, chosen, len(content))


def _weights(
    rows: Sequence[PreparedRow], steps: NDArray[np.int8], scales: NDArray[np.float32], biases: NDArray[np.float32]
) -> Weights:
    folds = {int(text_key(each.row.text)): each.fold for each in rows}
    seen = np.array(sorted(folds), dtype=np.uint32)
    return Weights(
        weights=steps,
        scales=scales,
        biases=biases,
        seen=seen,
        folds=np.array([folds[key] for key in seen.tolist()], dtype=np.uint8),
    )


def _unseen_scores(rows: Sequence[PreparedRow], weights: Weights) -> _Scores:
    models = [weights.model(1 + fold) for fold in range(FOLDS)]
    judged = [models[each.fold].stretches(each.features, each.spans).max(axis=0) for each in rows]
    return np.asarray(1 / (1 + np.exp(-np.stack(judged))))


def _document(content: bytes, categories: Sequence[str], chosen: dict[str, _Scores]) -> str:
    lines = [
        "# Written by `python -m policy.head.training`. The digest pins the weights; a text goes to review if the",
        "# score of a category passes its threshold, one per tolerance 0 .. 6.",
        f'weights = "{hashlib.sha256(content).hexdigest()}"',
    ]
    for script, found in chosen.items():
        lines += ["", f"[thresholds.{script}]"]
        lines += [
            f"{category} = [{', '.join(f'{each:.4f}' for each in found[output])}]"
            for output, category in enumerate(categories)
        ]
    return "\n".join(lines) + "\n"


def _print(rows: Sequence[PreparedRow], scores: _Scores, chosen: dict[str, _Scores], size: int) -> None:
    default = {script: found[:, DEFAULT_TOLERANCE] for script, found in chosen.items()}
    limits = np.stack([default["chinese" if is_chinese(each.row.text) else "spaced"] for each in rows])
    caught = np.asarray((scores > limits).any(axis=1))
    table = Table("set", "unsafe", "sent to review", "safe", "sent to review", title=f"the head alone, {size:,} bytes")
    names = [f"{each.row.source} {each.row.topic}".strip() for each in rows]
    for name in dict.fromkeys(names):
        cells = []
        for harmful in (True, False):
            members = [
                index
                for index, each in enumerate(rows)
                if names[index] == name and (each.row.category is not None) is harmful
            ]
            share = Share(int(caught[members].sum()), len(members))
            cells += [str(share.of), _percent(share)]
        table.add_row(name, *cells)
    Console().print(table)


def _percent(share: Share) -> str:
    if share.value is None:
        return ""
    low, high = share.interval
    return f"{share.value:.1%} ({low:.1%}-{high:.1%})"


if __name__ == "__main__":
    main()
