import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import (
    BlobCorruptError,
    BlobMissingError,
    BlobStore,
    BlobsUnavailableError,
    FileBlobs,
    InvalidValueError,
    StorageFullError,
    sha256_hex,
)

ROOT = Path(__file__).parents[2]
HOUR = 3600.0


class Wall:
    """A wall clock in seconds, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def blobs(folder: Path, wall: Wall) -> FileBlobs:
    return FileBlobs(folder, now=wall)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != "lock")


def damage(folder: Path, digest: str, content: bytes) -> None:
    (folder / "sha256" / digest[:2] / digest).write_bytes(content)


# The contract


def test_bytes_come_back_under_their_digest(blobs: BlobStore) -> None:
    for data in (b"", b"x", bytes(range(256)) * 5000):
        digest = blobs.put(data)
        assert digest == sha256_hex(data)
        assert blobs.exists(digest)
        assert blobs.get(digest) == data
    assert len(set(blobs.digests())) == 3


def test_the_same_bytes_are_kept_once(blobs: BlobStore, folder: Path) -> None:
    assert blobs.put(b"twice") == blobs.put(b"twice")
    assert len(files(folder)) == 1


def test_what_is_not_there_is_missing(blobs: BlobStore) -> None:
    digest = sha256_hex(b"never put")
    assert not blobs.exists(digest)
    assert list(blobs.digests()) == []
    with pytest.raises(BlobMissingError, match=digest):
        blobs.get(digest)
    blobs.delete(digest)


def test_a_deleted_blob_is_missing(blobs: BlobStore) -> None:
    digest = blobs.put(b"x")
    blobs.delete(digest)
    assert not blobs.exists(digest)


@pytest.mark.parametrize(
    "digest",
    ["", "abc", "A" * 64, "g" * 64, "../" * 21 + "a", "0" * 64 + "\n", "\uff10" * 64, "/" + "0" * 63, "0" * 65],
)
def test_only_a_digest_reaches_the_disk(blobs: BlobStore, digest: str) -> None:
    for call in (blobs.get, blobs.exists, blobs.delete):
        with pytest.raises(InvalidValueError, match="64 lower hex"):
            call(digest)


@given(data=st.binary(max_size=64), other=st.binary(max_size=64))
def test_damage_never_goes_unnoticed(tmp_path_factory: pytest.TempPathFactory, data: bytes, other: bytes) -> None:
    folder = tmp_path_factory.mktemp("damage")
    blobs = FileBlobs(folder)
    digest = blobs.put(data)
    damage(folder, digest, other)
    if other == data:
        assert blobs.get(digest) == data
    else:
        with pytest.raises(BlobCorruptError, match=digest):
            blobs.get(digest)
        blobs.put(data)  # the good bytes heal it
        assert blobs.get(digest) == data


# A disk that fills up


@pytest.fixture
def full() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)  # every write fails with the kernel's own ENOSPC
    yield descriptor
    os.close(descriptor)


def test_a_full_disk_is_named_and_leaves_nothing(folder: Path, full: int) -> None:
    written = 0

    def fill_up(descriptor: int, data: memoryview) -> int:
        nonlocal written
        if written > 1000:
            return os.write(full, data)
        written += os.write(descriptor, data[:600])
        return 600

    blobs = FileBlobs(folder, write=fill_up)
    with pytest.raises(StorageFullError):
        blobs.put(b"x" * 5000)
    assert written > 1000
    assert files(folder) == []
    assert not blobs.exists(sha256_hex(b"x" * 5000))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_used_up_quota_is_a_full_store(folder: Path, number: int) -> None:
    def refuse(_descriptor: int, _data: memoryview) -> int:
        raise OSError(number, os.strerror(number))

    blobs = FileBlobs(folder, write=refuse)
    for call in (lambda: blobs.put(b"x"), blobs.check_writable):
        with pytest.raises(StorageFullError):
            call()
    assert files(folder) == []


def test_a_file_size_limit_of_the_kernel_is_a_full_store(folder: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from storage import FileBlobs, StorageFullError
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
blobs = FileBlobs(Path(sys.argv[1]))
blobs.check_writable()
blobs.put(b"small")
try:
    blobs.put(b"x" * 10_000)
except StorageFullError:
    sys.exit(42)
"""
    done = subprocess.run([sys.executable, "-c", program, str(folder)], cwd=ROOT, check=False)
    assert done.returncode == 42
    assert files(folder) == [f"sha256/{sha256_hex(b'small')[:2]}/{sha256_hex(b'small')}"]


def test_a_blob_that_cannot_take_its_place_leaves_nothing(folder: Path) -> None:
    place = folder / "sha256" / sha256_hex(b"x")[:2]

    def block_the_way(descriptor: int, data: memoryview) -> int:
        place.parent.mkdir()
        place.write_bytes(b"a file where a folder should be")
        return os.write(descriptor, data)

    with pytest.raises(BlobsUnavailableError):
        FileBlobs(folder, write=block_the_way).put(b"x")
    assert files(folder) == [str(place.relative_to(folder))]


def test_short_writes_are_continued(folder: Path) -> None:
    blobs = FileBlobs(folder, write=lambda descriptor, data: os.write(descriptor, data[:7]))
    assert blobs.get(blobs.put(bytes(range(100)))) == bytes(range(100))


def test_another_failure_is_not_called_full(folder: Path) -> None:
    folder.write_bytes(b"a file where the folder should be")
    blobs = FileBlobs(folder)
    for call in (lambda: blobs.put(b"x"), blobs.check_writable):
        with pytest.raises(BlobsUnavailableError):
            call()


def test_checking_leaves_nothing_behind(blobs: FileBlobs, folder: Path) -> None:
    blobs.check_writable()
    assert files(folder) == []


# A process that is killed


def test_a_process_killed_in_mid_write_leaves_no_blob(blobs: FileBlobs, folder: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from storage import FileBlobs
def die(descriptor, data):
    os.write(descriptor, data[:10])
    os.kill(os.getpid(), signal.SIGKILL)
FileBlobs(Path(sys.argv[1]), write=die).put(b"x" * 100)
"""
    done = subprocess.run([sys.executable, "-c", program, str(folder)], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert list(blobs.digests()) == []
    assert len(files(folder)) == 1
    assert blobs.put(b"x" * 100) == sha256_hex(b"x" * 100)  # and holds no lock


# The sweeper


def test_the_sweeper_takes_only_what_is_old_and_unreferenced(blobs: FileBlobs, folder: Path, wall: Wall) -> None:
    old, kept = blobs.put(b"old"), blobs.put(b"kept")
    for path in (folder / "sha256").rglob("?" * 64):
        os.utime(path, (wall(), wall()))
    stale = folder / "incoming" / "left by a killed process"
    stale.write_bytes(b"half")
    os.utime(stale, (wall(), wall()))
    wall.seconds += 2 * HOUR
    fresh = blobs.put(b"fresh")
    os.utime(folder / "sha256" / fresh[:2] / fresh, (wall(), wall()))

    assert blobs.sweep({kept}, HOUR) == 1
    assert set(blobs.digests()) == {kept, fresh}
    assert not stale.exists()
    assert not blobs.exists(old)
    assert blobs.sweep({kept}, HOUR) == 0


def test_putting_again_protects_from_the_sweeper(blobs: FileBlobs, folder: Path, wall: Wall) -> None:
    digest = blobs.put(b"came back")
    os.utime(folder / "sha256" / digest[:2] / digest, (wall(), wall()))
    wall.seconds += 2 * HOUR
    blobs.put(b"came back")  # its transaction is about to refer to it
    assert blobs.sweep(set(), HOUR) == 0
    assert blobs.exists(digest)


def test_the_sweeper_waits_for_who_is_writing(folder: Path) -> None:
    refused = 0

    def try_to_sweep(descriptor: int, data: memoryview) -> int:
        nonlocal refused
        other = os.open(folder / "lock", os.O_RDWR)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as the sweeper does before it deletes
        except BlockingIOError:
            refused += 1
        finally:
            os.close(other)
        return os.write(descriptor, data)

    FileBlobs(folder, write=try_to_sweep).put(b"x")
    assert refused == 1


def test_nobody_but_the_owner_may_read_the_files(blobs: FileBlobs, folder: Path) -> None:
    blobs.put(b"private")
    assert [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077] == []
