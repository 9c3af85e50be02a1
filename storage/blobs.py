"""Bytes under their own SHA-256: written once, whole or not at all, checked whenever they are read.

A blob is written beside its place, flushed to the disk, renamed, and its folder flushed: after `put` returns, a power
cut does not lose it, and no reader ever sees half of it.
"""

import errno
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from storage.digests import checked_digest, sha256_hex
from storage.errors import BlobCorruptError, BlobMissingError, BlobsUnavailableError, StorageFullError

_CHUNK = 1 << 20
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # EFBIG: the process's file size limit

WriteBytes = Callable[[int, memoryview], int]
"""Writes to a file descriptor and says how many bytes went; `os.write`, or a disk that fills up in a test."""


class BlobStore(Protocol):
    """Keeps bytes by their digest."""

    def put(self, data: bytes) -> str:
        """Keep the bytes durably and return their digest; bytes that are there already are kept once.

        Raises:
            StorageFullError: No room; nothing is left behind.
            BlobsUnavailableError: The store cannot be written.
        """
        ...

    def put_file(self, file: BinaryIO) -> str:
        """Keep what a file holds from its present place to its end, as `put`; it is never in memory as a whole.

        Raises:
            StorageFullError: No room; nothing is left behind.
            BlobsUnavailableError: The file cannot be read or the store cannot be written.
        """
        ...

    def get(self, digest: str) -> bytes:
        """The bytes, hashed again on the way.

        Raises:
            InvalidValueError: `digest` is not one.
            BlobMissingError: There are none.
            BlobCorruptError: They do not hash to `digest` any more.
            BlobsUnavailableError: The store cannot be read.
        """
        ...

    def exists(self, digest: str) -> bool:
        """Whether there are bytes under this digest; says nothing of their health."""
        ...

    def delete(self, digest: str) -> None:
        """Forget the bytes; none to forget is fine."""
        ...

    def digests(self) -> Iterator[str]:
        """Every digest there is, in no order."""
        ...

    def check_writable(self) -> None:
        """Raise StorageFullError or BlobsUnavailableError unless a blob could be written now."""
        ...

    def sweep(self, referenced: Collection[str], older_than: float) -> int:
        """Delete what nothing refers to, and say how many blobs that were.

        Args:
            referenced: Digests to keep.
            older_than: Seconds since the last `put`; younger ones may belong to a transaction that is not over yet.
        """
        ...


class FileBlobs:
    """A BlobStore in a folder: `sha256/ab/abcd...`, with `incoming/` for what is being written.

    Several processes may share the folder. `put` marks a blob that is there already as fresh, and takes turns with
    the sweeper through a lock file, so that no blob vanishes between its `put` and the transaction that refers to it.
    """

    def __init__(self, root: Path, write: WriteBytes = os.write, now: Callable[[], float] = time.time) -> None:
        self._root = root
        self._blobs = root / "sha256"
        self._incoming = root / "incoming"
        self._write = write
        self._now = now

    def put(self, data: bytes) -> str:
        """See `BlobStore.put`. A corrupt blob is replaced by the good bytes."""
        digest = sha256_hex(data)
        path = self._path(digest)
        with _named_failures(), self._turn(fcntl.LOCK_SH):
            if _holds(path, data):
                moment = self._now()
                os.utime(path, (moment, moment))
            else:
                self._write_durably(path, data)
        return digest

    def put_file(self, file: BinaryIO) -> str:
        """See `BlobStore.put_file`. What is there already is replaced by the same bytes, fresh and whole."""
        hashed = hashlib.sha256()

        def chunks() -> Iterator[bytes]:
            while chunk := file.read(_CHUNK):
                hashed.update(chunk)
                yield chunk

        with _named_failures(), self._turn(fcntl.LOCK_SH):
            temporary = self._fill(chunks())
            digest = hashed.hexdigest()
            self._settle(temporary, self._path(digest))
        return digest

    def get(self, digest: str) -> bytes:
        """See `BlobStore.get`."""
        path = self._path(digest)
        with _named_failures():
            try:
                data = path.read_bytes()
            except FileNotFoundError as error:
                raise BlobMissingError(f"no blob {digest}") from error
        found = sha256_hex(data)
        if found != digest:
            raise BlobCorruptError(f"blob {digest} now hashes to {found}")
        return data

    def exists(self, digest: str) -> bool:
        """See `BlobStore.exists`."""
        path = self._path(digest)
        with _named_failures():
            return path.is_file()

    def delete(self, digest: str) -> None:
        """See `BlobStore.delete`."""
        with _named_failures(), self._turn(fcntl.LOCK_EX):
            self._path(digest).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """See `BlobStore.digests`."""
        for path in self._blobs.glob("??/" + "?" * 64):
            yield path.name

    def check_writable(self) -> None:
        """See `BlobStore.check_writable`: writes a small file, flushes it and removes it."""
        with _named_failures():
            self._fill([b"studio"]).unlink()

    def sweep(self, referenced: Collection[str], older_than: float) -> int:
        """See `BlobStore.sweep`. Files that a killed process left half-written go by the same age."""
        deadline = self._now() - older_than
        swept = 0
        with _named_failures():
            for digest in self.digests():
                if digest not in referenced and self._remove_if_older(self._path(digest), deadline):
                    swept += 1
            for path in self._incoming.glob("*"):
                self._remove_if_older(path, deadline)
        return swept

    def _path(self, digest: str) -> Path:
        return self._blobs / checked_digest(digest)[:2] / digest

    def _write_durably(self, path: Path, data: bytes) -> None:
        self._settle(self._fill([data]), path)

    @staticmethod
    def _settle(temporary: Path, path: Path) -> None:
        """Move a whole file to its place, for good."""
        try:
            _make_folder(path.parent)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)

    def _fill(self, chunks: Iterable[bytes]) -> Path:
        """Write a temporary file down to the disk; no trace of it is left when that fails."""
        _make_folder(self._incoming)
        descriptor, name = tempfile.mkstemp(dir=self._incoming)
        try:
            try:
                for chunk in chunks:
                    rest = memoryview(chunk)
                    while rest:
                        rest = rest[self._write(descriptor, rest) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return Path(name)

    def _remove_if_older(self, path: Path, deadline: float) -> bool:
        with self._turn(fcntl.LOCK_EX), suppress(FileNotFoundError):
            if path.stat().st_mtime < deadline:
                path.unlink()
                return True
        return False

    @contextmanager
    def _turn(self, kind: int) -> Iterator[None]:
        """Writers share the turn; whoever deletes has it alone. The kernel gives up the lock of a killed process."""
        _make_folder(self._root)
        descriptor = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFullError(f"no room left for blobs: {error.strerror}") from error
        raise BlobsUnavailableError(f"the blobs cannot be reached: {error}") from error


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except FileNotFoundError:
        return False


def _make_folder(path: Path) -> None:
    """Make a folder for us alone, and make that last: every new name is flushed in the folder above it."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    _flush_folder(path.parent)


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
