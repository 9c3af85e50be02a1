import pytest

from storage import InvalidValueError, NotFoundError, Origin, sha256_hex
from tests.storage.conftest import Stores, picture


def add(stores: Stores, content: str, owner: str, origin: Origin) -> str:
    """Admit a picture with a record of its own and return the record's id."""
    record = stores.append(owner=owner)
    with stores.database.transaction() as session:
        stores.images.add(session, picture(content, origin), owner, record.id)
    return record.id


def test_an_image_says_where_it_came_from(stores: Stores) -> None:
    record_id = add(stores, "photo", "alice", Origin.UPLOAD)
    image = stores.images.get(picture("photo").digest, "alice")
    assert (image.record_id, image.owner, image.origin) == (record_id, "alice", Origin.UPLOAD)
    assert (image.width, image.height, image.media_type) == (64, 48, "image/png")


def test_another_owner_and_a_wrong_digest_look_the_same(stores: Stores) -> None:
    add(stores, "private", "alice", Origin.UPLOAD)
    theirs, none = picture("private").digest, sha256_hex(b"none")
    with pytest.raises(NotFoundError) as hidden:
        stores.images.get(theirs, "bob")
    with pytest.raises(NotFoundError) as missing:
        stores.images.get(none, "bob")
    assert str(hidden.value).replace(theirs, "X") == str(missing.value).replace(none, "X")
    assert stores.images.get(theirs, None).owner == "alice"


def test_two_owners_of_one_file_each_have_their_own_row(stores: Stores) -> None:
    made = add(stores, "shared", "alice", Origin.OUTPUT)
    admitted = add(stores, "shared", "bob", Origin.UPLOAD)
    digest = picture("shared").digest
    assert stores.images.get(digest, "alice").record_id == made
    assert stores.images.get(digest, "bob").record_id == admitted
    assert stores.images.producer(digest, "alice") == made
    assert stores.images.producer(digest, "bob") is None  # nor does Bob learn of Alice's record


def test_an_output_that_its_owner_uploads_again_keeps_its_lineage(stores: Stores) -> None:
    made = add(stores, "mine", "alice", Origin.OUTPUT)
    add(stores, "mine", "alice", Origin.UPLOAD)
    assert stores.images.producer(picture("mine").digest, "alice") == made


def test_an_upload_that_we_then_make_becomes_an_output(stores: Stores) -> None:
    add(stores, "mine", "alice", Origin.UPLOAD)
    made = add(stores, "mine", "alice", Origin.OUTPUT)
    assert stores.images.producer(picture("mine").digest, "alice") == made


def test_an_unknown_image_has_no_producer(stores: Stores) -> None:
    assert stores.images.producer(sha256_hex(b"none"), "alice") is None


def test_pixels_need_a_digest_too(stores: Stores) -> None:
    record = stores.append()
    image = picture("x")
    object.__setattr__(image, "pixel_sha256", "short")
    with pytest.raises(InvalidValueError), stores.database.transaction() as session:
        stores.images.add(session, image, "alice", record.id)
