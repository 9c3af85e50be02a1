"""What a studio's own database has for the policy's commands: stored prompts, and what a candidate disagreed with."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from studio.cli.output import emit
from studio.cli.policy_opening import AsJson, coloured
from studio.settings import load_settings

if TYPE_CHECKING:
    from policy import Subject
    from storage import Job, Record
    from studio.bootstrap import Store

_PAGE = 500

Last = Annotated[int, typer.Option(min=1, max=100_000, help="Look at so many, the newest.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRequest:
    """The words of one stored job.

    Attributes:
        job: Its id.
        subjects: Its texts, as they were screened; pictures are not screened again.
        tolerance: The one it was screened at.
    """

    job: str
    subjects: "tuple[Subject, ...]"
    tolerance: int

    @property
    def text(self) -> str:
        """What was written, for those who may see it."""
        from policy import TextSubject

        return " / ".join(each.text for each in self.subjects if isinstance(each, TextSubject) and each.text)


def stored_requests(last: int) -> Iterator[StoredRequest]:
    """Yield the newest jobs whose text is still kept.

    Args:
        last: Look at so many jobs.
    """
    from studio import bootstrap

    store = bootstrap.open_store(load_settings())
    store.database.require_head()
    for job in _newest_jobs(store, last):
        kept = job.prompt_ref and store.read_text(job.prompt_ref)
        if kept is not None and job.prompt_ref is not None:
            yield _request(store, job, kept)


def _request(store: "Store", job: "Job", kept: str) -> StoredRequest:
    from policy import DEFAULT_TOLERANCE, Wording
    from studio.jobs import subjects
    from studio.jobs.words import read_words

    words = read_words(kept, job.parameters)
    requester = store.requester(job.key_id)
    own = requester.get("safety_tolerance", DEFAULT_TOLERANCE)
    found: list[Subject] = []
    if words.prompt is not None:
        found += subjects.of_text("prompt", words.prompt)
    if words.negative:
        found += subjects.of_text("negative_prompt", words.negative, wording=Wording.NEGATIVE)
    found += subjects.of_names(job.parameters)
    found.append(subjects.of_purpose(requester["purpose"]))
    tolerance = min(job.parameters.get("safety_tolerance", own), own)
    return StoredRequest(job=job.id, subjects=tuple(found), tolerance=tolerance)


def _newest_jobs(store: "Store", last: int) -> "Iterator[Job]":
    page = store.jobs.list(None, limit=min(last, _PAGE))
    left = last
    while True:
        yield from page.items
        left -= len(page.items)
        if page.next_cursor is None or left <= 0:
            return
        page = store.jobs.list(None, limit=min(left, _PAGE), before=page.next_cursor)


def _newest_records(store: "Store", last: int) -> "Iterator[Record]":
    page = store.records.list(None, limit=min(last, _PAGE))
    left = last
    while True:
        yield from page.items
        left -= len(page.items)
        if page.next_cursor is None or left <= 0:
            return
        page = store.records.list(None, limit=min(left, _PAGE), after=page.next_cursor)


def shadow(last: Last = 10_000, *, as_json: AsJson = False) -> None:
    """Tell where a candidate rule set, STUDIO_SHADOW_RULES, would have decided otherwise. It never decides.

    The record of each job says what the candidate's rules said where that differs from the rules in force; this counts
    and lists it.
    """
    from studio import bootstrap

    store = bootstrap.open_store(load_settings())
    store.database.require_head()
    seen, asked, found = 0, 0, []
    failed: Counter[str] = Counter()
    candidates: dict[str, None] = {}
    for record in _newest_records(store, last):
        seen += 1
        other = record.body.get("shadow")
        if not other:
            continue
        asked += 1
        candidates[other["policy_digest"]] = None
        failed.update([other["error"]] if "error" in other else [])
        found += [_disagreement(record)] if "decision" in other else []
    document = {
        "records": seen,
        "asked": asked,
        "failed": dict(failed.most_common()),
        "disagreements": len(found),
        "directions": dict(Counter(f"{each['decision']} -> {each['candidate']}" for each in found).most_common()),
        "rules": dict(Counter(rule for each in found for rule in each["rules"]).most_common()),
        "candidates": list(candidates),
        "jobs": found,
    }
    emit(_shadow_table(found), document, as_json=as_json)
    if not as_json:
        typer.echo(f"{seen} records, {asked} with a candidate asked, {len(found)} disagreements")
        for title in ("directions", "rules", "failed"):
            counted: Any = document[title]
            if counted:
                typer.echo(f"{title}: {', '.join(f'{name}: {count}' for name, count in counted.items())}")


def _disagreement(record: "Record") -> dict[str, Any]:
    other = record.body["shadow"]
    return {
        "job": record.job_id,
        "record": record.id,
        "decision": _rules_decision(record.body["policy"]["findings"]),
        "candidate": other["decision"],
        "rules": list(other["rules"]),
        "candidate_version": other["policy_version"],
        "candidate_digest": other["policy_digest"],
    }


def _rules_decision(findings: list[dict[str, Any]]) -> str:
    """What the rules in force said of a request: a candidate is compared with them alone."""
    from policy import Decision, RuleScreener
    from policy.verdict import strictness

    own = [Decision(each["decision"]) for each in findings if each["screener"] == RuleScreener.name]
    return max(own, key=strictness, default=Decision.BLOCK).value


_MOST_ROWS = 40


def _shadow_table(found: list[dict[str, Any]]) -> Table:
    table = Table("job", "in force", "candidate", "candidate's rules", title="where the candidate disagrees")
    for each in found[:_MOST_ROWS]:
        told = (coloured(each["decision"]), coloured(each["candidate"]), escape(", ".join(each["rules"])))
        table.add_row(each["job"] or each["record"], *told)
    if len(found) > _MOST_ROWS:
        table.caption = f"{len(found) - _MOST_ROWS} more: --json"
    return table
