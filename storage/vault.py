"""Personal text behind one door: everything else holds references, so text can be erased, and later encrypted, here."""

from sqlalchemy.orm import Session

from storage.errors import InvalidValueError, NotFoundError
from storage.identity import TEXT_PREFIX, Clock, NewId, random_id, utc_now
from storage.models import TextRow


class TextVault:
    """Keeps prompts, names and addresses. Every call runs in the caller's transaction, so text and its holder agree."""

    def __init__(self, clock: Clock = utc_now, new_id: NewId = random_id) -> None:
        self._clock = clock
        self._new_id = new_id

    def put(self, session: Session, owner: str, kind: str, text: str) -> str:
        """Keep a text.

        Args:
            session: Inside a writing transaction.
            owner: Whose text it is.
            kind: What it is, such as `prompt`.
            text: Any Unicode text; kept exactly.

        Returns:
            The reference to hold instead of the text.

        Raises:
            InvalidValueError: The text holds lone surrogates, which is not Unicode.
        """
        try:
            body = text.encode()
        except UnicodeEncodeError as error:
            raise InvalidValueError(f"{kind} is not Unicode text at position {error.start}") from error
        row = TextRow(
            ref=self._new_id(TEXT_PREFIX), owner=owner, kind=kind, body=body, created_at=self._clock(), erased_at=None
        )
        session.add(row)
        session.flush()
        return row.ref

    def get(self, session: Session, ref: str) -> str | None:
        """The text, or None once it was erased.

        Raises:
            NotFoundError: No text ever had this reference.
        """
        body = self._row(session, ref).body
        return None if body is None else body.decode()

    def erase(self, session: Session, ref: str) -> None:
        """Forget the text for good; its reference stays and answers None. Erasing twice changes nothing.

        Raises:
            NotFoundError: No text ever had this reference.
        """
        row = self._row(session, ref)
        if row.erased_at is None:
            row.body = None
            row.erased_at = self._clock()
            session.flush()

    @staticmethod
    def _row(session: Session, ref: str) -> TextRow:
        row = session.get(TextRow, ref)
        if row is None:
            raise NotFoundError(f"no text {ref!r}")
        return row
