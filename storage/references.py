"""Which blobs the database still needs, for the sweeper."""

from sqlalchemy import select

from storage.database import Database
from storage.models import ImageRow, JobRow
from storage.words import JobState


def referenced_digests(database: Database) -> frozenset[str]:
    """Every digest that an image or a job refers to: what `BlobStore.sweep` must keep.

    What came in with a refused job is not kept: its record names it by digest, and that is all anybody needs of it.
    """
    with database.reading() as session:
        images = set(session.scalars(select(ImageRow.digest).distinct()))
        for state, inputs, outputs in session.execute(select(JobRow.state, JobRow.inputs, JobRow.outputs)):
            images.update(outputs if state is JobState.REFUSED else (*inputs, *outputs))
        return frozenset(images)
