import pytest
from sqlalchemy import text

from storage import Database, InvalidValueError, KeyStore, NotFoundError, Role
from tests.storage.conftest import HandClock, all_at_once


@pytest.fixture
def keys(database: Database, clock: HandClock) -> KeyStore:
    return KeyStore(database, clock)


@pytest.mark.parametrize("role", list(Role))
def test_a_token_finds_its_key(keys: KeyStore, clock: HandClock, role: Role) -> None:
    key, token = keys.create("alice", role, "retouching product photographs")
    assert keys.find(token) == key
    assert (key.role, key.owner, key.purpose) == (role, "alice", "retouching product photographs")
    assert key.created_at == clock.now
    assert token.startswith("studio_")
    assert len(token) == len("studio_") + 43


@pytest.mark.parametrize("wrong", ["", "studio_", "x" * 100_000, "\ud800", "caf\u00e9", "' OR 1=1 --", "a\x00b"])
def test_a_wrong_token_finds_nothing(keys: KeyStore, wrong: str) -> None:
    _, token = keys.create("alice", Role.EDITOR, "test")
    assert keys.find(wrong) is None
    assert keys.find(token[:-1]) is None
    assert keys.find(token.upper()) is None
    assert keys.find(token + wrong) is None or wrong == ""


def test_the_token_is_stored_nowhere(keys: KeyStore, database: Database) -> None:
    _, token = keys.create("alice", Role.EDITOR, "test")
    with database.reading() as session:
        row = str(session.execute(text("SELECT * FROM api_keys")).all())
    assert token not in row
    assert token.removeprefix("studio_") not in row


def test_a_revoked_key_opens_nothing(keys: KeyStore, clock: HandClock) -> None:
    key, token = keys.create("alice", Role.EDITOR, "test")
    clock.advance(5)
    revoked = keys.revoke(key.id)
    assert revoked.revoked_at == clock.now
    assert keys.find(token) is None
    clock.advance(5)
    assert keys.revoke(key.id) == revoked
    assert keys.list() == (revoked,)
    assert keys.get(key.id) == revoked
    with pytest.raises(NotFoundError):
        keys.get("key_none")
    with pytest.raises(NotFoundError):
        keys.revoke("key_none")


@pytest.mark.parametrize(("owner", "purpose"), [("", "test"), ("alice", ""), ("alice", " \n"), ("  ", "test")])
def test_a_key_needs_an_owner_and_a_declared_purpose(keys: KeyStore, owner: str, purpose: str) -> None:
    with pytest.raises(InvalidValueError, match="purpose"):
        keys.create(owner, Role.EDITOR, purpose)
    assert keys.list() == ()


def test_of_many_first_keys_there_is_one(keys: KeyStore) -> None:
    made = all_at_once([lambda: keys.create_first("operator", Role.OPERATOR, "bootstrap")] * 4)
    assert [pair[0] for pair in made if pair is not None] == list(keys.list())
    assert len(keys.list()) == 1


def test_a_revoked_first_key_is_not_made_again(keys: KeyStore) -> None:
    first = keys.create_first("operator", Role.OPERATOR, "bootstrap")
    assert first is not None
    keys.revoke(first[0].id)
    assert keys.create_first("operator", Role.OPERATOR, "bootstrap") is None
