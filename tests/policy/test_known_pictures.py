import numpy as np
import pytest

from policy import (
    Decision,
    KnownPictureListError,
    PictureSubject,
    TextSubject,
    known_test_picture,
    load_policy,
    pixel_digest,
)
from policy.known_pictures import parse_digests

OTHER = np.full((8, 8, 3), 200, dtype=np.uint8)


def subject(pixels, **digests):
    return PictureSubject(name="image", pixels=pixels, **({"pixel_sha256": pixel_digest(pixels)} | digests))


def blocked_by(verdict):
    return [finding.rule for finding in verdict.findings if finding.decision is Decision.BLOCK]


def test_the_test_picture_is_blocked_and_others_are_not():
    policy = load_policy()
    assert blocked_by(policy.screen([subject(known_test_picture())])) == ["known_pictures.shipped"]
    assert policy.screen([subject(OTHER)]).decision is Decision.ALLOW


def test_the_digest_that_comes_along_is_not_trusted():
    verdict = load_policy().screen([subject(known_test_picture(), pixel_sha256="0" * 64)])
    assert blocked_by(verdict) == ["known_pictures.shipped"]


@pytest.mark.parametrize("field", ["pixel_sha256", "file_sha256"])
def test_an_operators_list_holds_digests_of_pixels_or_of_files(tmp_path, field):
    known = tmp_path / "known.txt"
    known.write_text(f"# ours\n\n{'AB' * 32}  # from the hotline\n")
    policy = load_policy(operator_list=known)
    assert blocked_by(policy.screen([subject(OTHER, **{field: "ab" * 32})])) == ["known_pictures.operator"]
    assert blocked_by(policy.screen([subject(known_test_picture())])) == ["known_pictures.shipped"]
    assert policy.screen([subject(OTHER)]).decision is Decision.ALLOW


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"not a digest\n", ("ab" * 31).encode()])
def test_an_unreadable_list_blocks_every_picture_and_no_text(tmp_path, content):
    known = tmp_path / "known.txt"
    if content is not None:
        known.write_bytes(content)
    policy = load_policy(operator_list=known)
    assert blocked_by(policy.screen([subject(OTHER)])) == ["policy.screener_failed"]
    assert policy.screen([TextSubject(name="prompt", text="a lamp")]).decision is Decision.ALLOW
    assert not policy.ready().ready
    assert "operator's list" in policy.ready().problems[0]


def test_a_bad_line_is_named_by_its_number():
    with pytest.raises(KnownPictureListError, match="ours: line 3 "):
        parse_digests(f"{'0' * 64}\n# comment\nzz\n", where="ours")


def test_a_list_changes_the_policys_digest(tmp_path):
    known = tmp_path / "known.txt"
    known.write_text("ab" * 32)
    assert load_policy(operator_list=known).digest != load_policy().digest
