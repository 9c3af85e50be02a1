"""Disguises of Chinese. Pure, but for the character tables that the policy's packages bring.

Traditional characters and sounds come from the packages' tables, turned around. The characters taken apart are listed
here, as people type them, and not taken from the list with which the policy puts them together.
"""

from functools import cache
from unicodedata import normalize

from policy.readings import tables
from studio.bench.robustness.characters import between
from studio.bench.robustness.disguise import CHINESE, Change, Disguise, Family, pick, words

_CHINESE = frozenset({CHINESE})
_TAKEN_APART = """
奸:女干 炸:火乍 弹:弓单 枪:木仓 赌:贝者 婊:女表 娼:女昌 妓:女支 嫖:女票 性:忄生 情:忄青 裸:衤果 体:亻本
脱:月兑 胸:月匈 幼:幺力 射:身寸 爆:火暴 骗:马扁 诈:讠乍 伪:亻为 偷:亻俞 抢:扌仓 打:扌丁 捆:扌困 绑:纟邦
贩:贝反 购:贝勾 账:贝长 钓:钅勾 海:氵每 冰:冫水 砍:石欠 奶:女乃 妹:女未 好:女子 仇:亻九 恨:忄艮 怖:忄布
猪:犭者 狗:犭句 阴:阝月 校:木交 语:讠吾 证:讠正 谎:讠荒 评:讠平 诽:讠非 谤:讠旁 秽:禾岁 种:禾中 视:礻见
精:米青 淫:氵壬 割:害刂 刺:束刂 制:牛刂 别:另刂 杀:乂木 炼:火东 烧:火尧 烟:火因 灯:火丁 肢:月支 脸:月佥
换:扌奂 投:扌殳 报:扌卩 据:扌居 抹:扌末 拍:扌白 洗:氵先 法:氵去 污:氵亏 汉:氵又 暴:日共 时:日寸 明:日月
歌:哥欠 欺:其欠 教:孝攵 政:正攵 攻:工攵 期:其月 朝:龺月 群:君羊 鲜:鱼羊 科:禾斗 私:禾厶
"""
_APART: dict[str, str] = dict(pair.split(":") for pair in _TAKEN_APART.split())


@cache
def _traditional() -> dict[int, str]:
    table: dict[int, str] = {}
    for traditional, simplified in tables.simplified().items():
        if traditional != simplified:
            table.setdefault(ord(simplified), traditional)
    return table


@cache
def _sound(character: str) -> str:
    """Return the first sound of a character without its tone; the character itself if it has none."""
    first = tables.pinyin().get(str(ord(character)), character).split(",")[0]
    return "".join(letter for letter in normalize("NFD", first.replace("ü", "v")) if letter.isascii()) or character


@cache
def _alike() -> dict[str, str]:
    """Return for each sound, tone and all, the common characters that have it."""
    found: dict[str, str] = {}
    for point, sounds in tables.pinyin().items():
        character = chr(int(point))
        # The first level of GB 2312: the 3,755 characters that every input method offers first.
        code = character.encode("gb2312", "ignore")
        if len(code) == 2 and 0xB0 <= code[0] <= 0xD7:  # noqa: PLR2004 - the level's rows
            found[sounds.split(",")[0]] = found.get(sounds.split(",")[0], "") + character
    return found


def _pinyin_of_all(word: str) -> str:
    return f" {' '.join(_sound(character) for character in word)} "


def _pinyin_joined(word: str) -> str:
    return f" {''.join(_sound(character) for character in word)} "


def _pinyin_of_one(word: str) -> str:
    at = pick(word, len(word))
    return word[:at] + _sound(word[at]) + word[at + 1 :]


def _sound_alike(word: str) -> str:
    """Put another common character of the same sound and tone for one."""
    for at in ((pick(word, len(word)) + turn) % len(word) for turn in range(len(word))):
        sound = tables.pinyin().get(str(ord(word[at])), "").split(",")[0]
        others = _alike().get(sound, "").replace(word[at], "")
        if others:
            return word[:at] + others[pick(word, len(others))] + word[at + 1 :]
    return word


def _apart(word: str) -> str:
    return "".join(_APART.get(character, character) for character in word)


def _chinese(name: str, change: Change, *, lossless: bool = True) -> Disguise:
    return Disguise(name=name, family=Family.CHINESE, languages=_CHINESE, apply=words(change), lossless=lossless)


DISGUISES_OF_CHINESE = (
    _chinese("traditional", lambda word: word.translate(_traditional())),
    _chinese("pinyin, spaced", _pinyin_of_all, lossless=False),
    _chinese("pinyin, joined", _pinyin_joined, lossless=False),
    _chinese("pinyin of one character", _pinyin_of_one, lossless=False),
    _chinese("split characters", _apart, lossless=False),
    _chinese("middle dots", between("·")),
    _chinese("full-width stops between", between("．")),
    _chinese("full-width commas between", between("，")),
    _chinese("ideographic spaces", between("\u3000")),
    _chinese("bracket each", lambda word: "".join(f"【{character}】" for character in word)),
    _chinese("sound-alike character", lambda word: _sound_alike(word) if len(word) > 1 else word, lossless=False),
)
