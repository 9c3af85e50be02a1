"""Volume rules at work: what a key asks for too often goes to a person. Translation between `policy` and `storage`.

Every request that is screened is sketched, whatever the policy said of it, and counted once: with all its variants, and
however often its job is tried. A request that is tested beforehand is not counted.
"""

from collections.abc import Sequence

from policy import RuleSet, Subject, Verdict, combine
from policy.sketching import Sketcher
from policy.volume import MOST_SKETCHES, judge
from policy.volume import Sketch as Judged
from storage import Job, Sketch, SketchStore


class VolumeWatch:
    """Counts the requests of each key."""

    def __init__(self, sketches: SketchStore) -> None:
        """Take the store.

        Args:
            sketches: Where sketches are kept for as long as a window lasts.
        """
        self._sketches = sketches

    def added_to(
        self, verdict: Verdict, job: Job, asked: Sequence[Subject], rule_set: RuleSet, tolerance: int
    ) -> Verdict:
        """Return a request's verdict with what its volume adds.

        Args:
            verdict: What was said of the request by itself.
            job: The job, which counts once.
            asked: What was screened.
            rule_set: The rules in force.
            tolerance: 0 (strictest) .. 6, as it was screened at.

        Returns:
            The same verdict if no limit is exceeded; else one with a finding for each that is.

        Raises:
            StorageError: The sketches could not be read or written; the job may be tried again.
        """
        if not rule_set.volume:
            return verdict
        drawn = Sketcher(rule_set, self._sketches.secret()).sketch(asked, self._sketches.now())
        if drawn is None:
            return verdict
        window = max(rule.window_seconds for rule in rule_set.volume)
        own, earlier = self._sketches.add(_stored(drawn, job), keep_seconds=window, most=MOST_SKETCHES)
        this, others = _judged(own, drawn.topics), [_judged(each) for each in earlier]
        found = [judge(rule, others, this, tolerance=tolerance) for rule in rule_set.volume]
        exceeded = [each for each in found if each is not None]
        if not exceeded:
            return verdict
        return combine(
            (*verdict.findings, *exceeded), policy_version=verdict.policy_version, policy_digest=verdict.policy_digest
        )


def _stored(drawn: Judged, job: Job) -> Sketch:
    return Sketch(
        job_id=job.id,
        key_id=job.key_id,
        at=drawn.at,
        prompt=drawn.prompt,
        pictures=drawn.pictures,
        likenesses=tuple(sorted(drawn.likenesses)),
    )


def _judged(stored: Sketch, topics: frozenset[str] = frozenset()) -> Judged:
    return Judged(
        at=stored.at,
        prompt=stored.prompt,
        pictures=stored.pictures,
        likenesses=frozenset(stored.likenesses),
        topics=topics,
    )
