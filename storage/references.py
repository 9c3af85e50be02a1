"""Which blobs the database still needs, for the sweeper."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from storage.database import Database
from storage.models import AdapterRow, ImageRow, JobRow
from storage.words import OPEN_STATES, JobState

ADAPTERS = ("loras", "embeddings")
"""Members of a job's parameters that list adapters, each with its digest."""


def referenced_digests(database: Database) -> frozenset[str]:
    """Every digest that an image, an adapter or a job refers to: what `BlobStore.sweep` must keep.

    What came in with a refused job is not kept: its record names it by digest, and that is all anybody needs of it.
    An adapter that its owner removed is kept until the last job that asked for it has ended.
    """
    with database.reading() as session:
        kept = set(session.scalars(select(ImageRow.digest).distinct()))
        kept.update(session.scalars(select(AdapterRow.digest).distinct()))
        for state, inputs, outputs in session.execute(select(JobRow.state, JobRow.inputs, JobRow.outputs)):
            kept.update(outputs if state is JobState.REFUSED else (*inputs, *outputs))
        for parameters in session.scalars(select(JobRow.parameters).where(JobRow.state.in_(OPEN_STATES))):
            kept.update(_adapters(parameters))
        return frozenset(kept)


def _adapters(parameters: Mapping[str, Any]) -> list[str]:
    listed = [each for name in ADAPTERS for each in parameters.get(name) or ()]
    return [each["digest"] for each in listed if each.get("digest")]
