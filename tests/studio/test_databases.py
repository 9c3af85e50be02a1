"""The same studio on PostgreSQL, and on a database that cannot be reached."""

from fastapi.testclient import TestClient

from studio import bootstrap
from studio.app import create_app
from studio.settings import Settings
from tests.studio.conftest import Studio


def test_an_unreachable_database_is_said_and_not_a_crash(tmp_path) -> None:
    url = f"postgresql+psycopg://nobody@/nothing?host={tmp_path}"
    services = bootstrap.build_services(Settings(home=tmp_path, database_url=url))
    with TestClient(create_app(services), headers={"X-Api-Key": "studio_any"}, raise_server_exceptions=False) as http:
        assert http.get("/health/live").status_code == 200
        ready = http.get("/health/ready")
        assert (ready.status_code, ready.json()["checks"]["policy"]) == (503, "ok")
        refused = http.post("/v1/generate", json={"prompt": "a red circle"})
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        assert refused.headers["Retry-After"]


def test_a_database_without_tables_says_what_to_do(make_studio) -> None:
    studio: Studio = make_studio()
    studio.store.database.downgrade("base")
    refused = studio.http.get("/v1/jobs")
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
    assert "studio db upgrade" in refused.json()["detail"]


def test_an_edit_on_postgresql(make_studio, postgres, picture: str, mask: str) -> None:
    socket = postgres.get_postmaster_info().socket_dir
    studio: Studio = make_studio(database_url=f"postgresql+psycopg://postgres:@/postgres?host={socket}")
    done = studio.done("inpaint", prompt="a red circle", image=picture, mask=mask, seed=1)
    assert done["state"] == "done"
    refused = studio.done("generate", prompt="a deepfake of a politician confessing to a crime")
    assert refused["state"] == "refused"
    assert [each["outcome"] for each in studio.http.get("/v1/records").json()["records"]] == ["refused", "done"]
    assert studio.http.get("/health/ready").status_code == 200
