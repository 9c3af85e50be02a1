"""Reading `--control`, `--lora`, `--reference` and `--embedding`: short texts become members of a request.

What comes after the first `=` is the file's name, whatever is in it; what comes before is words parted by colons.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from editing import ControlKind, ControlMode, Detector, ReferenceKind


def guides(
    controls: Sequence[str] | None = None,
    loras: Sequence[str] | None = None,
    references: Sequence[str] | None = None,
    embeddings: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The members of a request that steer the model.

    Args:
        controls: As `--control` gives them.
        loras: As `--lora` gives them.
        references: As `--reference` gives them.
        embeddings: As `--embedding` gives them.

    Returns:
        `controls`, `loras`, `references` and `embeddings`, those that are not empty.
    """
    found = {
        "controls": [control(each) for each in controls or ()],
        "loras": [lora(each) for each in loras or ()],
        "references": [reference(each) for each in references or ()],
        "embeddings": [embedding(each) for each in embeddings or ()],
    }
    return {name: given for name, given in found.items() if given}


def control(text: str) -> dict[str, Any]:
    """Read `KIND[:WORD...][=FILE]`."""
    head, named, file = text.partition("=")
    kind, *words = head.split(":")
    members: dict[str, Any] = {"kind": _one_of(kind, list(ControlKind), "--control")}
    for word in words:
        scale = _number(word)
        if scale is not None:
            said: dict[str, Any] = {"scale": scale}
        elif word == ControlMode.AS_IS.value:
            said = {"mode": word}
        else:
            said = {"detector": _one_of(word, [*sorted(Detector), "as_is", "a number"], "--control")}
        if not said.keys().isdisjoint(members):
            raise typer.BadParameter(f"--control: {word!r} says the {next(iter(said))} a second time")
        members |= said
    return members | ({"image": _picture(file, "--control")} if named else {})


def lora(text: str) -> dict[str, Any]:
    """Read `NAME[:WEIGHT]`."""
    name, _, weight = text.rpartition(":")
    number = _number(weight) if name and name != "sha256" else None
    return {"name": text} if number is None else {"name": name, "weight": number}


def reference(text: str) -> dict[str, Any]:
    """Read `KIND[:WEIGHT]=FILE`."""
    head, _, file = text.partition("=")
    kind, _, weight = head.partition(":")
    members: dict[str, Any] = {
        "kind": _one_of(kind, list(ReferenceKind), "--reference"),
        "image": _picture(file, "--reference"),
    }
    if weight:
        number = _number(weight)
        if number is None:
            raise typer.BadParameter(f"--reference: {weight!r} is no weight")
        members["weight"] = number
    return members


def embedding(text: str) -> dict[str, Any]:
    """Read `NAME[:TOKEN]`."""
    name, _, token = text.rpartition(":")
    return {"name": name, "token": token} if name and name != "sha256" else {"name": text}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _one_of(word: str, able: Sequence[str], option: str) -> str:
    if word not in able:
        raise typer.BadParameter(f"{option}: {word!r} is none of {', '.join(able)}")
    return word


def _picture(file: str, option: str) -> str:
    from studio.client import encoded

    path = Path(file)
    if not path.is_file():
        raise typer.BadParameter(f"{option}: there is no file {file!r}")
    return encoded(path)
