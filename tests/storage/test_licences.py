from storage import Database, LicenceStore
from tests.storage.conftest import HandClock


def test_nobody_accepted_at_first(database: Database) -> None:
    licences = LicenceStore(database)
    assert licences.accepted("FLUX.1-dev") is None
    assert licences.list() == ()


def test_an_acceptance_says_who_what_and_when(database: Database, clock: HandClock) -> None:
    licences = LicenceStore(database, clock)
    given = licences.accept("FLUX.1-dev", "FLUX.1-dev non-commercial", "operator")
    assert licences.accepted("FLUX.1-dev") == given
    assert (given.accepted_by, given.accepted_at) == ("operator", clock.now)
    assert licences.accepted("FLUX.1-Fill-dev") is None


def test_the_first_acceptance_of_a_licence_stands_and_the_latest_licence_counts(
    database: Database, clock: HandClock
) -> None:
    licences = LicenceStore(database, clock)
    first = licences.accept("FLUX.1-dev", "v1", "alice")
    clock.advance(10)
    assert licences.accept("FLUX.1-dev", "v1", "bob") == first
    second = licences.accept("FLUX.1-dev", "v2", "bob")
    assert licences.accepted("FLUX.1-dev") == second
    assert licences.list() == (first, second)
