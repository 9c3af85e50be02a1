import pytest
import re2

from policy import RuleError
from policy.phrases import translate, words_of

LISTS = {"lamp": "(?:lamp|lantern)", "灯": "灯"}


def finds(phrase, text):
    return re2.search(translate(phrase, LISTS.__getitem__, "here"), text) is not None


@pytest.mark.parametrize(
    ("phrase", "found", "missed"),
    [
        ("rifle", ["a rifle", "two rifles", "the rifle's stock", "rifle."], ["trifle", "riflemen"]),
        ("body", ["body", "bodies", "the body's", "bodys"], ["bodyguard", "embody"]),
        ("box", ["box", "boxes"], ["boxer"]),
        ("sniper rifle", ["sniper rifle", "sniper-rifles", "snipers rifle"], ["sniper's new rifle", "rifle sniper"]),
        ("face-swap", ["face-swap", "face swap"], ["faceswap"]),
        ("stab+", ["stab", "stabs", "stabbed", "stabbing", "stabber"], ["stable", "stabilise"]),
        ("shave+", ["shave", "shaves", "shaved", "shaving"], ["shavian", "shaven"]),
        ("bury+", ["bury", "buries", "burying", "buried"], ["burial"]),
        ("kiss+", ["kisses", "kissing"], ["kismet"]),
        ("porn*", ["porn", "pornographic"], ["popcorn"]),
        ("rape+|assault+ scene", ["raped scene", "assaulting scenes"], ["rapeseed scene"]),
        ("[very] young man", ["young man", "very young man"], ["very old man"]),
        ("stuff+ [the] ballot", ["stuffing the ballots", "stuff ballots"], ["stuff his ballots"]),
        ("stuff+ .. ballot", ["stuffing two of the ballots"], ["stuffing one two three four five ballots"]),
        ("stuff+ ..6 ballot", ["stuffing one two three four five ballots"], ["stuffing a b c d e f g ballots"]),
        ("old <lamp>", ["old lantern"], ["old lamb"]),
        ("/colou?r/", ["color", "discolour"], ["colar"]),
        ("/x<lamp>/", ["xlamp"], ["lamp"]),
        ("c4", ["some c4"], ["c41"]),
        ("色情", ["很色情的"], ["色彩"]),
        ("没穿 .. 衣服", ["没穿衣服", "没穿任何的衣服"], ["没穿。她的衣服", "没穿一二三四五六七衣服"]),
        ("儿童|小孩 裸", ["小孩裸", "儿童 裸"], ["小孩不裸"]),
        ("ai 换脸", ["ai换脸", "ai 换脸"], ["换脸"]),
    ],
)
def test_a_phrase_finds_what_it_says_and_no_more(phrase, found, missed):
    assert [text for text in found if not finds(phrase, text)] == []
    assert [text for text in missed if finds(phrase, text)] == []


@pytest.mark.parametrize(
    ("phrase", "message"),
    [
        ("", "says nothing"),
        ("...", "says nothing"),
        ("Rifle", "lower case"),
        ("/open", "between slashes"),
        ("//", "between slashes"),
        ("rifle ..", "cannot end with a gap"),
        ("a ..99 b", "got '..99'"),
        ("a ..x b", "got '..x'"),
        ("(group)", "says nothing|cannot read"),
        ("a||b", "cannot read ''"),
        ("灯+", "takes no endings"),
        ("*", "says nothing"),
    ],
)
def test_what_is_no_phrase_is_refused(phrase, message):
    with pytest.raises(RuleError, match=message) as caught:
        translate(phrase, LISTS.__getitem__, "en/art.toml:7")
    assert str(caught.value).startswith("en/art.toml:7: ")


def test_the_words_of_a_phrase_come_in_every_form_and_a_pattern_has_none():
    assert {"stab", "stabbed", "stabbing", "victim", "victims"} <= set(words_of("stab+ .. <who>|victim"))
    assert set(words_of("没穿 衣服")) == {"没穿", "衣服"}
    assert set(words_of("porn*")) == {"porn*"}
    assert list(words_of("/stab.*/")) == []
