"""The child's side of `policy.killable`: builds a screener, looks at one subject after another, answers in JSON."""

import importlib
import json
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from policy.screeners import ScreensAtTolerance
from policy.subjects import PictureSubject, Stage, Subject, TextSubject, Wording
from policy.verdict import Finding

if TYPE_CHECKING:
    from policy.screeners import Screener


def pack(subject: Subject, tolerance: int | None = None) -> tuple[bytes, NDArray[np.uint8] | None]:
    """Turn a subject into a header and, for a picture, its pixels.

    Args:
        subject: What the parent wants looked at.
        tolerance: 0..6, or None for screeners that know of none.

    Returns:
        The header, JSON, and the pixels, uint8 (h, w, 3), or None for a text.
    """
    if isinstance(subject, TextSubject):
        return json.dumps({"tolerance": tolerance, "text_subject": asdict(subject)}).encode(), None
    header = {
        "name": subject.name,
        "tolerance": tolerance,
        "stage": subject.stage,
        "shape": list(subject.pixels.shape),
        "pixel_sha256": subject.pixel_sha256,
        "file_sha256": subject.file_sha256,
    }
    return json.dumps(header).encode(), subject.pixels


def serve(connection: Connection, build: str, arguments: str) -> None:
    """Build the screener, say so, and answer until the parent is gone.

    Args:
        connection: This side of the pipe.
        build: `package.module:function` that returns the screener.
        arguments: Its keyword arguments, a JSON object.
    """
    os.setsid()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    # Libraries print; the standard output belongs to the parent's user.
    os.dup2(sys.stderr.fileno(), 1)
    module, _, function = build.partition(":")
    try:
        screener: Screener = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    except Exception as error:  # noqa: BLE001 - an edge: a model that does not load is told to the parent
        _answer(connection, {"error": type(error).__name__})
        return
    _answer(connection, {"ready": True})
    while True:
        try:
            subject, tolerance = _receive(connection)
        except EOFError:
            return
        try:
            answer: dict[str, Any] = {"findings": _plain(_ask(screener, subject, tolerance))}
        except Exception as error:  # noqa: BLE001 - an edge: whatever a screener raises is answered, as its class
            answer = {"error": type(error).__name__}
        _answer(connection, answer)


def _ask(screener: "Screener", subject: Subject, tolerance: int | None) -> Sequence[Finding]:
    if tolerance is not None and isinstance(screener, ScreensAtTolerance):
        return screener.screen_at(subject, tolerance)
    return screener.screen(subject)


def _receive(connection: Connection) -> tuple[Subject, int | None]:
    header = json.loads(connection.recv_bytes())
    tolerance = header["tolerance"]
    if "text_subject" in header:
        fields = header["text_subject"]
        return TextSubject(**(fields | {"wording": Wording(fields["wording"])})), tolerance
    pixels = np.frombuffer(connection.recv_bytes(), dtype=np.uint8).reshape(header["shape"])
    picture = PictureSubject(
        name=header["name"],
        pixels=pixels,
        pixel_sha256=header["pixel_sha256"],
        file_sha256=header["file_sha256"],
        stage=Stage(header["stage"]),
    )
    return picture, tolerance


def _plain(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [asdict(finding) for finding in findings]


def _answer(connection: Connection, answer: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(answer).encode())


def _die_with_parent() -> None:
    """End this process with the parent, even in the middle of a screening that hangs."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
