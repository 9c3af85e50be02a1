"""The policy in force: loaded once, looked after while the process runs, and swapped whole when its files change.

Invariants:
- Whoever asks gets one finished `Policy`; a request or a job asks once and keeps what it got.
- Files that were changed are loaded aside and run their own examples first. What is broken never comes into force: the
  policy before it stays, the log says so once, and `problem` says so until it is mended.
- If the very first load fails there is nothing to stay with: a policy without rules blocks everything.
- Asking never waits for a load and never raises.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from policy import Policy, PolicyError
from policy.ruleset import empty_rule_set

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 3.0
"""Changed files are looked for at most this often."""

_DEPTH: Final = 2
"""A folder of rules, and in it one for each language."""

Fingerprint = tuple[tuple[str, int, int, int], ...]
"""Path, length, and times of change of contents and of entry (ns) of every file; any edit changes it."""


class ActivePolicy:
    """Hands out the policy in force; safe to share between threads."""

    def __init__(
        self,
        load: Callable[[], Policy],
        watched: tuple[Path, ...] = (),
        *,
        every_s: float = LOOK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        candidate: bool = False,
    ) -> None:
        """Load the policy.

        Args:
            load: Reads a policy from its files.
            watched: Folders and files that it reads, to be looked at for changes.
            every_s: Seconds between two looks.
            clock: Seconds that never run backwards.
            candidate: Whether it decides nothing, which the log says of it.
        """
        self._name = "candidate rules" if candidate else "rules"
        self._load = load
        self._watched = watched
        self._every_s = every_s
        self._clock = clock
        self._turn = threading.Lock()
        self._seen = fingerprint(watched)
        self._looked = clock()
        self._loading: threading.Thread | None = None
        self.problem: str | None = None
        """What is wrong with the files as they are now, while an older policy is in force; None: nothing."""
        try:
            self._policy = load()
        except PolicyError as error:
            then = "they are not asked" if candidate else "everything is blocked"
            log.error("the %s cannot be read, %s: %s", self._name, then, error)  # noqa: TRY400 - a line for operators
            self._policy, self.problem = nothing_allowed(), str(error)

    @classmethod
    def fixed(cls, policy: Policy) -> "ActivePolicy":
        """One policy for good, from no files."""
        return cls(lambda: policy)

    def current(self) -> Policy:
        """The policy in force; begins to load a newer one in the background if its files have changed."""
        if self._watched and self._turn.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._turn.release()
        return self._policy

    def settle(self) -> Policy:
        """Look at the files now, wait for what there is to load, and return the policy in force afterwards."""
        with self._turn:
            self._looked = -self._every_s + self._clock()
            self._look()
            loading = self._loading
        if loading is not None:
            loading.join()
        return self._policy

    def _look(self) -> None:
        """Start a load if it is time and the files differ from those last seen; one at a time."""
        busy = self._loading is not None and self._loading.is_alive()
        if busy or self._clock() - self._looked < self._every_s:
            return
        self._looked = self._clock()
        found = fingerprint(self._watched)
        if found != self._seen:
            self._loading = threading.Thread(target=self._reload, args=(found,), name="policy reload", daemon=True)
            self._loading.start()

    def _reload(self, found: Fingerprint) -> None:
        candidate, said = self._try()
        if fingerprint(self._watched) != found:
            return  # somebody is still writing: half of a change must not come into force; the next look tries again
        self._seen, self.problem = found, said
        if candidate is None:
            log.error("changed %s are broken, %s stays: %s", self._name, self._policy.version, said)
            return
        self._policy = candidate
        log.info("%s %s (%s) are taken over", self._name, candidate.version, candidate.digest[:12])

    def _try(self) -> tuple[Policy | None, str | None]:
        try:
            candidate = self._load()
            candidate.self_check()
            faults = candidate.ready().problems
            if faults and self._policy.ready().ready:
                return None, "; ".join(faults)  # such as half a list, for which every picture would be blocked
        except PolicyError as error:
            return None, str(error)
        except Exception as error:  # noqa: BLE001 - a thread's edge: whatever a file provokes must leave the old policy
            return None, f"they cannot be loaded: {type(error).__name__}"
        return candidate, None


def nothing_allowed() -> Policy:
    """A policy that blocks everything, for want of rules."""
    return Policy(empty_rule_set("unreadable"), [])


def fingerprint(watched: tuple[Path, ...]) -> Fingerprint:
    """Say what files look like, without reading them.

    Args:
        watched: Files and folders; what is not there is left out.

    Returns:
        An entry for each file, folders with all they hold, in a fixed order.
    """
    return tuple(sorted(entry for each in watched for entry in _entries(each)))


def _entries(path: Path) -> Iterator[tuple[str, int, int, int]]:
    for file in _files(path, _DEPTH):
        try:
            facts = file.stat()
        except OSError:
            continue  # gone, or a broken link: the next look sees what is there then
        yield str(file), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _files(path: Path, depth: int) -> Iterator[Path]:
    """Whatever may be read there, behind links too: rules lie in a folder and in the folders in it."""
    try:
        inside = list(path.iterdir()) if path.is_dir() else None
    except OSError:
        return  # a folder that may not be looked into: what loads it says so
    if inside is None:
        yield path
    elif depth > 0:
        for each in inside:
            yield from _files(each, depth - 1)
