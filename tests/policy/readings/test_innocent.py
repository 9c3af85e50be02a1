"""What is no disguise is not read as one."""

import pytest

from policy.readings import Lexicon, Reader
from tests.policy.readings.words import LEXICON

INNOCENT = [
    "g r a p e",
    "E s s e x",
    "t h e r a p i s t",
    "a therapist in Essex with a grape",
    "U.S.A. and the U.K.",
    "a c.a.t. and a d-o-g",
    "they n*ed help",
    "*emphasis* and **bold** and _underlined_",
    "see https://example.org/a-b_c?d=e&f=100%25#top",
    "#sunset #goldenhour #nofilter",
    "product X-1200B, model RTX3080Ti, part 4XG-99",
    "doi:10.1000/xyz123 and isbn 978-3-16-148410-0",
    "a 3d render, 8k, 4k, 35mm, f/1.8, 1980s, 16th century",
    "1girl, 2boys, 1 9 7 0 s, 2 0 1 5, 8 k, d & d",
    ":-) ;) :D <3 ^_^ xD",
    "hex colours #6e616b and #ff00aa, seed 1234567890",
    "<lora:add_detail:0.8> masterpiece, best_quality",
    "(a red car:1.3), [blurred], ((sharp focus))",
    "by Greg Rutkowski, Artgerm, WLOP, Willem Heda, Banksy",
    "couldn't, wouldn't, the driver's car, the person's hat",
    "a boring meeting on Tuesday at 10:30",
    "женщина идёт по улице",
    "η γάτα κοιμάται στον ήλιο",
    "女子走在街上，干净的街道",
    "春 夏 秋 冬",
    "一位美丽的女性，爱笑的眼睛",
    "men and women can sing a long song",
    "made in China by she long",
    "日本の桜と富士山",
    "café, naïve, Zürich, jalapeño, crème brûlée",
    "C3PO and R2D2 on the M1 motorway",
    "top-left corner, t-shirt, x-ray, e-mail, k-pop",
    "red|blue|green and/or yellow",
    "YWJjZGVm is a token",
    "a ten year warranty for the killjoy",
]


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_texts_are_read_as_they_stand(reader: Reader, text: str) -> None:
    for reading in reader.read(text):
        words = set("".join(c if c.isalpha() else " " for c in reading.text.casefold()).split())
        assert not words & LEXICON.words - {"person", "girl", "woman", "photo"}, reading.name
        assert not any(len(term) > 1 and term in reading.text for term in LEXICON.chinese), reading.name


@pytest.mark.parametrize(
    "text", ["a red car on a street", "a photo of a sunny park, with trees", "一个女孩在公园里散步"]
)
def test_an_ordinary_text_has_one_reading(reader: Reader, text: str) -> None:
    assert [reading.text for reading in reader.read(text)] == [text]


def test_capitals_and_spaces_add_one_reading(reader: Reader) -> None:
    assert [reading.name for reading in reader.read("A  Red Car")] == ["as_written", "canonical"]
    assert reader.read("A  Red Car")[1].text == "a red car"


def test_a_harmful_pair_in_brackets_stays_two_words(reader: Reader) -> None:
    assert any("red car" in reading.text for reading in reader.read("(red:1.2)(car:1.1)"))
    assert not any("redcar" in reading.text for reading in reader.read("(red:1.2)(car:1.1)"))


@pytest.mark.parametrize(
    "text", ["lloottss of trees", "l*ts of trees", "lotss of trees", "a sh**p on a hill", "a sp**ar"]
)
def test_a_much_commoner_word_explains_a_disguise(text: str) -> None:
    reader = Reader(Lexicon(words=frozenset({"loots", "loot", "lets", "shoop", "spoor", "spear"})))
    assert not any({"loots", "loot", "shoop"} & set(reading.text.split()) for reading in reader.read(text))


def test_a_rare_word_is_still_read_where_nothing_commoner_fits() -> None:
    reader = Reader(Lexicon(words=frozenset({"loots", "grenade"})))
    assert any("grenade" in reading.text.split() for reading in reader.read("a gr*n*de"))


def test_a_term_that_is_written_as_it_should_be_is_not_read_as_another_of_the_same_sound() -> None:
    reader = Reader(Lexicon(chinese=frozenset({"穆斯林", "木斯林"})))
    assert [reading.text for reading in reader.read("一个穆斯林的故事")] == ["一个穆斯林的故事"]


@pytest.mark.parametrize(
    "text",
    [
        "a school, shooting stars above",
        "a school. shooting stars",
        "he sat at school; shooting",
        "1.5 m, 16:9, 3/4 cup",
    ],
)
def test_honest_punctuation_parts_what_is_said(reader: Reader, text: str) -> None:
    assert not any("school shooting" in reading.text or "1 5" in reading.text for reading in reader.read(text))


def test_what_is_only_quoted_in_chinese_stays_in_its_quotes(reader: Reader) -> None:
    said = "请不要说“大家都去公园”这样的话"
    assert [reading.text for reading in reader.read(said)] == [said]


def test_a_keyword_is_one_only_in_capitals(reader: Reader) -> None:
    assert not any("iteasy" in reading.text for reading in reader.read("(it) break easy"))
    assert not any("sunflower" in reading.text for reading in reader.read("(a) sun break flower"))
    assert any("sunflower" in reading.text for reading in reader.read("(a) sun BREAK flower"))


def test_a_character_that_belongs_to_the_word_beside_is_no_other_of_the_same_sound() -> None:
    reader = Reader(Lexicon(chinese=frozenset({"犹太佬"})))
    assert [reading.text for reading in reader.read("一位犹太老师")] == ["一位犹太老师"]
