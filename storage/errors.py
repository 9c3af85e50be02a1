"""What can go wrong in storage, by name; every message states the value and, where there is one, the limit."""


class StorageError(Exception):
    """Base of everything this package raises on purpose."""


class InvalidValueError(StorageError):
    """A value that cannot be stored: not a digest, not a cursor, not JSON, text that is not Unicode."""


class NotFoundError(StorageError):
    """There is no such thing, or it belongs to another owner: the two look the same on purpose."""


class ConflictError(StorageError):
    """The change contradicts what is stored: a job already final, a row that exists, a record that never changes."""


class LeaseLostError(StorageError):
    """The job is not, or no longer, held under this lease; nothing was written."""


class StorageFullError(StorageError):
    """No room left for a blob or a row: disk, quota or file size limit; nothing was written."""


class BlobMissingError(StorageError):
    """No blob has this digest."""


class BlobCorruptError(StorageError):
    """The bytes of a blob no longer hash to its digest."""


class BlobsUnavailableError(StorageError):
    """The folder of the blobs cannot be read or written, for another reason than room."""


class DatabaseUnavailableError(StorageError):
    """The database cannot be reached, was lost, stayed locked or is damaged; trying again later may help."""


class SchemaOutdatedError(StorageError):
    """The tables are not those of this version; `studio db upgrade` brings them there."""
