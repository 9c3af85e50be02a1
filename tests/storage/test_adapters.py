"""Adapters: names, owners, and which blobs the sweeper keeps."""

from typing import Any

import pytest

from storage import (
    AdapterConflictError,
    AdapterKind,
    AdapterStore,
    FileBlobs,
    InvalidValueError,
    NewAdapter,
    NewJob,
    NotFoundError,
    referenced_digests,
    sha256_hex,
)
from tests.storage.conftest import HandClock, Stores


@pytest.fixture
def adapters(stores: Stores) -> AdapterStore:
    return AdapterStore(stores.database, HandClock())


def new(name: str = "neon", owner: str = "alice", content: bytes = b"one", **other: Any) -> NewAdapter:
    given = {"kind": AdapterKind.LORA, "facts": {"ranks": [4, 8]}, **other}
    return NewAdapter(
        owner=owner, key_id="key_1", name=name, digest=sha256_hex(content), size_bytes=len(content), **given
    )


def test_an_adapter_is_found_by_name_and_by_file(adapters: AdapterStore) -> None:
    kept = adapters.add(new())
    assert kept.id.startswith("adapter_")
    assert kept.facts == {"ranks": [4, 8]}
    assert adapters.get(AdapterKind.LORA, "neon", "alice") == kept
    assert adapters.by_digest(AdapterKind.LORA, sha256_hex(b"one"), "alice") == kept


def test_the_same_file_under_the_same_name_is_the_same_adapter(adapters: AdapterStore) -> None:
    assert adapters.add(new()) == adapters.add(new())
    assert len(adapters.list(AdapterKind.LORA, None).items) == 1


def test_a_taken_name_and_a_known_file_are_refused_with_what_is_in_the_way(adapters: AdapterStore) -> None:
    kept = adapters.add(new())
    for other in (new(content=b"two"), new("glow")):
        with pytest.raises(AdapterConflictError) as caught:
            adapters.add(other)
        assert caught.value.existing == kept
    assert adapters.list(AdapterKind.LORA, "alice").items == (kept,)
    adapters.add(new(owner="bob"))
    adapters.add(new(kind=AdapterKind.EMBEDDING))  # names and files are told apart by owner and by kind


def test_another_owner_and_a_wrong_name_look_the_same(adapters: AdapterStore) -> None:
    adapters.add(new())
    for name, owner in (("neon", "bob"), ("glow", "alice")):
        with pytest.raises(NotFoundError, match=f"no lora '{name}'"):
            adapters.get(AdapterKind.LORA, name, owner)
        with pytest.raises(NotFoundError):
            adapters.remove(AdapterKind.LORA, name, owner)
    with pytest.raises(NotFoundError):
        adapters.by_digest(AdapterKind.LORA, sha256_hex(b"one"), "bob")
    assert adapters.list(AdapterKind.LORA, "bob").items == ()
    assert len(adapters.list(AdapterKind.LORA, None).items) == 1


def test_lists_are_paged_newest_first(adapters: AdapterStore) -> None:
    for index in range(5):
        adapters.add(new(f"n{index}", content=bytes([index])))
    adapters.add(new(kind=AdapterKind.EMBEDDING))
    first = adapters.list(AdapterKind.LORA, "alice", limit=3)
    assert [each.name for each in first.items] == ["n4", "n3", "n2"]
    rest = adapters.list(AdapterKind.LORA, "alice", limit=3, before=first.next_cursor)
    assert [each.name for each in rest.items] == ["n1", "n0"]
    assert rest.next_cursor is None
    with pytest.raises(InvalidValueError):
        adapters.list(AdapterKind.EMBEDDING, "alice", before=first.next_cursor)


def test_a_removed_adapter_is_gone_and_its_name_free(adapters: AdapterStore) -> None:
    adapters.add(new())
    assert adapters.remove(AdapterKind.LORA, "neon", "alice").name == "neon"
    with pytest.raises(NotFoundError):
        adapters.get(AdapterKind.LORA, "neon", "alice")
    adapters.add(new(content=b"two"))


def test_a_digest_that_is_none_is_refused(adapters: AdapterStore) -> None:
    with pytest.raises(InvalidValueError):
        adapters.add(
            NewAdapter(
                owner="alice", key_id="k", kind=AdapterKind.LORA, name="x", digest="../x", size_bytes=1, facts={}
            )
        )


def ask(stores: Stores, digest: str, member: str) -> Any:
    parameters = {member: [{"name": "neon", "digest": digest}, {"name": "of the catalogue"}]}
    job = {"owner": "alice", "key_id": "key_1", "operation": "generate", "checkpoint": "flux-mini", "prompt": "x"}
    return stores.jobs.enqueue(NewJob(**job, parameters=parameters, inputs=()))


@pytest.mark.parametrize("member", ["loras", "embeddings"])
def test_the_sweeper_keeps_adapters_and_what_open_jobs_were_accepted_with(
    stores: Stores, adapters: AdapterStore, member: str
) -> None:
    digest = sha256_hex(b"one")
    assert digest not in referenced_digests(stores.database)
    adapters.add(new())
    assert digest in referenced_digests(stores.database)
    ask(stores, digest, member)
    adapters.remove(AdapterKind.LORA, "neon", "alice")
    assert digest in referenced_digests(stores.database)
    lease = stores.lease()
    assert digest in referenced_digests(stores.database)
    stores.finish(lease.job, lease.token)
    assert digest not in referenced_digests(stores.database)


def test_a_file_is_kept_without_being_read_whole(tmp_path: Any) -> None:
    blobs, data = FileBlobs(tmp_path / "blobs"), bytes(range(256)) * 10_000
    source = tmp_path / "file"
    source.write_bytes(data)

    class Reader:
        largest = 0

        def __init__(self) -> None:
            self.stream = source.open("rb")

        def read(self, size: int) -> bytes:
            Reader.largest = max(self.largest, size)
            return self.stream.read(size)

    reader = Reader()
    with reader.stream:
        digest = blobs.put_file(reader)  # type: ignore[arg-type]
    assert digest == sha256_hex(data)
    assert blobs.get(digest) == data
    assert 0 < Reader.largest <= 1 << 20
    assert list((tmp_path / "blobs" / "incoming").iterdir()) == []
