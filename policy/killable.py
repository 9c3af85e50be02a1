"""Runs a screener in a child process that can be killed, so that its time limit holds whatever it does.

Anything that can hang, a model above all, runs this way: a thread cannot be stopped, a process can. The child is
started with `spawn`, so nothing of this process's state or imports reaches it, and it alone imports what the screener
needs. Both directions carry JSON and raw bytes, never pickled objects: the child handles hostile pictures, and what it
sends is checked as one would check a stranger's.

    parent                               child (policy.killable_child)
    screen(subject) -> header, pixels -> screener.screen(subject), or screen_at(subject, tolerance)
                    <- findings or the class of an error
    overrun: the child's process group is killed, BLOCK; the next subject starts a new child
"""

import contextlib
import json
import multiprocessing
import os
import signal
import threading
import weakref
from collections.abc import Collection, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import numpy as np

from policy import killable_child
from policy.errors import VerdictError
from policy.failures import Failure, failure_finding
from policy.subjects import Subject
from policy.verdict import Finding, finding_from_json

MAX_ANSWER_BYTES = 1_000_000
"""Bytes one answer of a child may have."""

_GRACE_S = 5.0
_CLASS_NAME_LIMIT = 100


class _ChildError(Exception):
    """The child raised, died, answered nonsense or could not start; carries the class of what happened."""


class KillableScreener:
    """A screener that lives in a child process; its every failure is a blocking finding.

    Safe to share between threads: one subject is screened at a time.
    """

    def __init__(
        self,
        build: str,
        *,
        name: str,
        version: str,
        handles: Collection[type[Subject]],
        answer_limit_s: float,
        start_limit_s: float = 120.0,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Say what to run; the child starts with the first subject, or with `start`.

        Args:
            build: `package.module:function`, imported and called in the child only; returns the screener.
            name: The screener's name here, whatever it calls itself.
            version: Its version here.
            handles: Kinds of subjects it looks at.
            answer_limit_s: Seconds one subject may take, > 0.
            start_limit_s: Seconds the child may take to start and load, > 0.
            arguments: Keyword arguments of the function, plain JSON values.
        """
        self.name = name
        self.version = version
        # All a caller can wait: for another subject's turn, for a new child, for the answer.
        self.time_limit_s = 2 * answer_limit_s + start_limit_s + _GRACE_S
        self._build = build
        self._arguments = json.dumps(dict(arguments or {}))
        self._handles = tuple(handles)
        self._answer_limit_s = answer_limit_s
        self._start_limit_s = start_limit_s
        self._turn = threading.Lock()
        self._child: _Child | None = None
        self._start_problem: str | None = None

    def handles(self, subject: Subject) -> bool:
        """Say whether the subject is of a kind it looks at."""
        return isinstance(subject, self._handles)

    def problems(self) -> tuple[str, ...]:
        """Return why the last child could not start; none if it could, or none was started yet."""
        return () if self._start_problem is None else (f"its process did not start: {self._start_problem}",)

    def start(self) -> tuple[str, ...]:
        """Start the child now, so that the first subject need not wait; return `problems()`."""
        with self._turn, contextlib.suppress(_ChildError, TimeoutError):
            self._running_child()
        return self.problems()

    def screen(self, subject: Subject) -> Sequence[Finding]:
        """Have the child look at a subject.

        Args:
            subject: One it handles.

        Returns:
            The child's findings; one that blocks if the child raised, died, overran its limit or answered nonsense.
        """
        return self._screen(subject, None)

    def screen_at(self, subject: Subject, tolerance: int) -> Sequence[Finding]:
        """Have the child look at a subject at a tolerance; a child that knows of none is asked as by `screen`.

        Args:
            subject: One it handles.
            tolerance: 0 (strictest) .. 6.

        Returns:
            As `screen`.
        """
        return self._screen(subject, tolerance)

    def _screen(self, subject: Subject, tolerance: int | None) -> Sequence[Finding]:
        if not self._turn.acquire(timeout=self._answer_limit_s):
            return [self._failure(Failure.SCREENER_TIMEOUT, subject, "busy with another subject")]
        try:
            return self._running_child().ask(subject, tolerance, self._answer_limit_s)
        except TimeoutError as error:
            return [self._failure(Failure.SCREENER_TIMEOUT, subject, str(error))]
        except _ChildError as error:
            return [self._failure(Failure.SCREENER_FAILED, subject, str(error))]
        finally:
            self._turn.release()

    def close(self) -> None:
        """Kill the child; a later subject would start a new one."""
        with self._turn:
            if self._child is not None:
                self._child.kill()
                self._child = None

    def _running_child(self) -> "_Child":
        if self._child is None or not self._child.alive:
            self._child = None
            try:
                self._child = _Child(self._build, self._arguments, self._start_limit_s)
            except (TimeoutError, _ChildError) as error:
                self._start_problem = str(error)
                raise
            except (OSError, AssertionError) as error:
                # No process to be had, or none allowed here: a daemonic process may not start children.
                self._start_problem = type(error).__name__
                raise _ChildError(self._start_problem) from error
            self._start_problem = None
        return self._child

    def _failure(self, failure: Failure, subject: Subject, detail: str) -> Finding:
        return failure_finding(failure, subject=subject.name, screener=self.name, detail=detail)


class _Child:
    """One child process, from its start to its death."""

    def __init__(self, build: str, arguments: str, start_limit_s: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        # A daemon, so that this process's exit does not wait for it.
        self._process = context.Process(
            target=killable_child.serve, args=(theirs, build, arguments), name=f"screener {build}", daemon=True
        )
        self._process.start()
        theirs.close()
        self._kill = weakref.finalize(self, _kill_process, self._process, self._connection)
        with self._deadline(start_limit_s, "start"):
            answer = self._read_answer()
        if isinstance(error := answer.get("error"), str):
            self.kill()
            raise _ChildError(_class_name(error))

    @property
    def alive(self) -> bool:
        return self._kill.alive and self._process.is_alive()

    def kill(self) -> None:
        """Kill the process and let go of its pipe; only for the thread that reads the pipe."""
        self._kill()

    def stop_process(self) -> None:
        """Kill the process only, from any thread; whoever reads the pipe sees its end."""
        _stop_process(self._process)

    def ask(self, subject: Subject, tolerance: int | None, limit_s: float) -> list[Finding]:
        header, pixels = killable_child.pack(subject, tolerance)
        with self._deadline(limit_s, "answer"):
            self._connection.send_bytes(header)
            if pixels is not None:
                self._connection.send_bytes(np.ascontiguousarray(pixels).reshape(-1).data)
            answer = self._read_answer()
        return self._checked(answer)

    def _read_answer(self) -> dict[str, Any]:
        # The exceptions of a pipe whose other end was killed, and of bytes that are not JSON, are sorted in _deadline.
        answer = json.loads(self._connection.recv_bytes(MAX_ANSWER_BYTES))
        if not isinstance(answer, dict):
            raise TypeError("an answer is a JSON object")
        return answer

    def _checked(self, answer: Mapping[str, Any]) -> list[Finding]:
        """Return the findings of an answer; kill a child that does not speak the protocol."""
        if isinstance(error := answer.get("error"), str):
            # The screener raised; its process is sound and stays.
            raise _ChildError(_class_name(error))
        try:
            return [finding_from_json(finding) for finding in answer["findings"]]
        except (KeyError, TypeError, VerdictError) as error_:
            self.kill()
            raise _ChildError("answered with something other than findings") from error_

    def _deadline(self, limit_s: float, doing: str) -> "_Deadline":
        return _Deadline(self, limit_s, doing)


class _Deadline:
    """Kills a child that overruns, and sorts what comes of its death into overrun and failure."""

    def __init__(self, child: _Child, limit_s: float, doing: str) -> None:
        self._child = child
        self._overrun = threading.Event()
        self._what = f"no {doing} within {limit_s:g} s"
        # A timer, not a poll: a full pipe to a child that does not read blocks in the sending, too.
        self._timer = threading.Timer(limit_s, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._timer.cancel()
        self._timer.join()
        if self._overrun.is_set():
            self._child.kill()
            raise TimeoutError(self._what) from error
        if isinstance(error, (EOFError, OSError, TypeError, ValueError)):
            self._child.kill()
            raise _ChildError(f"process lost: {type(error).__name__}") from error
        if error is not None:
            self._child.kill()

    def _expire(self) -> None:
        self._overrun.set()
        self._child.stop_process()


def _kill_process(process: SpawnProcess, connection: Connection) -> None:
    _stop_process(process)
    process.join(_GRACE_S)
    connection.close()


def _stop_process(process: SpawnProcess) -> None:
    if process.is_alive() and process.pid is not None:
        # The child leads its own group once it runs, so that processes it started die with it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()


def _class_name(text: str) -> str:
    """Return what a child gave as an exception's class, if it looks like one: it must not smuggle the text out."""
    return text if text.isidentifier() and len(text) <= _CLASS_NAME_LIMIT else "Exception"
