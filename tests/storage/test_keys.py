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


def test_a_key_has_a_tolerance_that_its_operator_can_change(keys: KeyStore) -> None:
    key, token = keys.create("alice", Role.EDITOR, "test")
    strict, _ = keys.create("bob", Role.EDITOR, "test", safety_tolerance=0)
    assert (key.safety_tolerance, strict.safety_tolerance) == (2, 0)
    changed = keys.set_safety_tolerance(key.id, 6)
    assert changed.safety_tolerance == 6
    assert keys.find(token) == keys.get(key.id) == changed
    assert keys.get(strict.id).safety_tolerance == 0
    with pytest.raises(NotFoundError, match="key_none"):
        keys.set_safety_tolerance("key_none", 2)


@pytest.mark.parametrize("wrong", [-1, 7, 10**9])
def test_there_are_seven_tolerances(keys: KeyStore, wrong: int) -> None:
    with pytest.raises(InvalidValueError, match=rf"0\.\.6, got {wrong}"):
        keys.create("alice", Role.EDITOR, "test", safety_tolerance=wrong)
    key, _ = keys.create("alice", Role.EDITOR, "test")
    with pytest.raises(InvalidValueError, match=rf"0\.\.6, got {wrong}"):
        keys.set_safety_tolerance(key.id, wrong)
    assert keys.list() == (key,)


@pytest.mark.parametrize("wrong", ["a\x00b", "half a pair \ud800"])
def test_what_is_no_text_is_no_purpose(keys: KeyStore, wrong: str) -> None:
    with pytest.raises(InvalidValueError, match="purpose must be Unicode"):
        keys.create("alice", Role.EDITOR, wrong)


def test_keys_from_before_there_were_tolerances_have_the_default(empty_url: str, clock: HandClock) -> None:
    database = Database(empty_url)
    database.upgrade("0003")
    with database.transaction() as session:
        session.execute(
            text("INSERT INTO api_keys VALUES ('key_old', 'alice', 'editor', 'test', :digest, :now, NULL)"),
            {"digest": "ab" * 32, "now": clock.now.strftime("%Y-%m-%d %H:%M:%S.%f")},
        )
    database.upgrade()
    assert KeyStore(database, clock).get("key_old").safety_tolerance == 2
    database.close()
