"""Which blobs the database still needs, for the sweeper."""

from sqlalchemy import select

from storage.database import Database
from storage.models import ImageRow, JobRow


def referenced_digests(database: Database) -> frozenset[str]:
    """Every digest that an image or a job refers to: what `BlobStore.sweep` must keep."""
    with database.reading() as session:
        images = set(session.scalars(select(ImageRow.digest).distinct()))
        for inputs, outputs in session.execute(select(JobRow.inputs, JobRow.outputs)):
            images.update(inputs, outputs)
        return frozenset(images)
