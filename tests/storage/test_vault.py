import pytest
from sqlalchemy import text

from storage import InvalidValueError, NotFoundError
from tests.storage.conftest import Stores


@pytest.mark.parametrize("words", ["", "a red square", "\u4e00\u53ea\u732b \U0001f600", "nul \x00 inside", "x" * 4000])
def test_a_text_comes_back_exactly(stores: Stores, words: str) -> None:
    with stores.database.transaction() as session:
        ref = stores.vault.put(session, "alice", "prompt", words)
    assert ref.startswith("txt_")
    with stores.database.reading() as session:
        assert stores.vault.get(session, ref) == words


def test_an_erased_text_is_gone_and_its_reference_stays(stores: Stores) -> None:
    job = stores.enqueue(prompt="forget me")
    assert job.prompt_ref is not None
    for _ in range(2):
        with stores.database.transaction() as session:
            stores.vault.erase(session, job.prompt_ref)
    with stores.database.reading() as session:
        assert stores.vault.get(session, job.prompt_ref) is None
        assert session.execute(text("SELECT body, erased_at IS NULL FROM texts")).all() == [(None, 0)]
    assert stores.jobs.get(job.id, "alice") == job


def test_a_reference_that_never_was_is_not_the_same_as_an_erased_text(stores: Stores) -> None:
    with pytest.raises(NotFoundError), stores.database.reading() as session:
        stores.vault.get(session, "txt_none")
    with pytest.raises(NotFoundError), stores.database.transaction() as session:
        stores.vault.erase(session, "txt_none")


def test_what_is_not_unicode_text_is_refused_without_repeating_it(stores: Stores) -> None:
    with pytest.raises(InvalidValueError, match="position 7") as refused, stores.database.transaction() as session:
        stores.vault.put(session, "alice", "prompt", "secret \udcff")
    assert "secret" not in str(refused.value)
