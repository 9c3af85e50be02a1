"""A lexicon for the tests: sober words, enough of each kind."""

from policy.readings import Lexicon

WORDS = """
naked nude nudes undressed topless porn pornography weapon weapons bomb bombs explosive explosives murder corpse cocaine
heroin terrorist terrorists suicide torture grenade rifle gun guns kill killed killer sex sexy rape rapist lingerie
erotic beheaded blood gore drugs drug child children teen toddler minor nazi swastika hostage execution deepfake ballot
fraud passport forged slave lynch genocide strangle stalking blackmail woman girl photo person
"""
CHINESE = """
色情 裸体 强奸 毒品 自杀 恐怖分子 同性恋 儿童 炸弹 杀人 婊子 淫秽 赌博 冰毒 未成年人 换脸 枪支 女人 假币 身份证
人体炸弹 奸 毒
"""
LEXICON = Lexicon(words=frozenset(WORDS.split()), chinese=frozenset(CHINESE.split()))
