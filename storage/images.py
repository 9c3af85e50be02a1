"""Which owner may read which picture, and which record it came from. The bytes are blobs."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.database import Database
from storage.digests import checked_digest
from storage.errors import NotFoundError
from storage.identity import Clock, utc_now
from storage.models import ImageRow
from storage.words import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """A picture whose blob is stored already, about to get its row.

    Attributes:
        digest: SHA-256 of the file.
        pixel_sha256: SHA-256 of the decoded raster.
        media_type: Such as `image/png`.
        width: Pixels.
        height: Pixels.
        size_bytes: Length of the file.
        origin: Uploaded, or an output of ours.
    """

    digest: str
    pixel_sha256: str
    media_type: str
    width: int
    height: int
    size_bytes: int
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture that `owner` may read; `record_id` is the record that produced or admitted it. See `NewImage`."""

    digest: str
    owner: str
    pixel_sha256: str
    media_type: str
    width: int
    height: int
    size_bytes: int
    origin: Origin
    record_id: str
    created_at: datetime


class ImageStore:
    """One row for each picture and owner: the same file uploaded by two people is one blob and two rows."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def add(self, session: Session, image: NewImage, owner: str, record_id: str) -> None:
        """Let `owner` read the picture. A picture the owner has keeps its row, unless we now made what was uploaded.

        An output that its owner uploads again stays an output: its lineage is still true.

        Args:
            session: Inside the transaction that also writes the record.
            image: Its blob must be stored already.
            owner: Who may read it.
            record_id: The record that produced or admitted it, written earlier in the same transaction.

        Raises:
            InvalidValueError: A digest is not one.
        """
        values = {
            "pixel_sha256": checked_digest(image.pixel_sha256),
            "media_type": image.media_type,
            "width": image.width,
            "height": image.height,
            "size_bytes": image.size_bytes,
            "origin": image.origin,
            "record_id": record_id,
            "created_at": self._clock(),
        }
        row = session.get(ImageRow, (checked_digest(image.digest), owner))
        if row is None:
            session.add(ImageRow(digest=image.digest, owner=owner, **values))
        elif row.origin is Origin.UPLOAD and image.origin is Origin.OUTPUT:
            row.origin = image.origin
            row.record_id = record_id
        session.flush()

    def get(self, digest: str, owner: str | None) -> Image:
        """The picture, if `owner` may read it.

        Args:
            digest: SHA-256 of the file.
            owner: None reads anybody's, for roles that may.

        Raises:
            NotFoundError: There is none, or it is another owner's: the same error, so that nobody learns which.
        """
        with self._database.reading() as session:
            row = self._find(session, digest, owner)
            if row is None:
                raise NotFoundError(f"no image {digest[:80]!r}")
            return _image(row)

    def producer(self, digest: str, owner: str) -> str | None:
        """The id of the record that produced this picture for `owner`, None when we did not make it for them."""
        with self._database.reading() as session:
            row = self._find(session, digest, owner)
            return row.record_id if row is not None and row.origin is Origin.OUTPUT else None

    @staticmethod
    def _find(session: Session, digest: str, owner: str | None) -> ImageRow | None:
        query = select(ImageRow).where(ImageRow.digest == digest).order_by(ImageRow.created_at, ImageRow.owner).limit(1)
        if owner is not None:
            query = query.where(ImageRow.owner == owner)
        return session.scalars(query).one_or_none()


def _image(row: ImageRow) -> Image:
    return Image(
        digest=row.digest,
        owner=row.owner,
        pixel_sha256=row.pixel_sha256,
        media_type=row.media_type,
        width=row.width,
        height=row.height,
        size_bytes=row.size_bytes,
        origin=row.origin,
        record_id=row.record_id,
        created_at=row.created_at,
    )
