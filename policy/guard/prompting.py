"""How the guard model is asked, and how its answer is read. Pure.

Qwen3Guard-Gen's chat template holds the whole task; the text to judge goes in as one user's message, and the answer is

    Safety: Unsafe
    Categories: Violent, PII

(https://github.com/QwenLM/Qwen3Guard, README; the nine categories and three labels are those of its prompt moderation.)
"""

import re
import unicodedata
from typing import Final

from policy.guard.errors import GuardNonsenseError, GuardTemplateError

PREFIX: Final = "Safety:"
"""What the answer is made to begin with; the label follows, its space belonging to the label's first token."""

LABELS: Final = ("Safe", "Controversial", "Unsafe")
CATEGORIES_PREFIX: Final = "\nCategories:"
NO_CATEGORY: Final = "None"
CATEGORIES: Final = (
    "Violent",
    "Non-violent Illegal Acts",
    "Sexual Content or Sexual Acts",
    "PII",
    "Suicide & Self-Harm",
    "Unethical Acts",
    "Politically Sensitive Topics",
    "Copyright Violation",
    "Jailbreak",
    NO_CATEGORY,
)
"""Every category the model may name, and the word for none."""

ANSWER_TOKENS: Final = 64
"""Most tokens of the list of categories: all nine take about forty."""

_PROBE = "a lamp on a desk"
_ROLE = re.compile(r"\b(user|assistant|system)[ \t]*:", re.IGNORECASE)
_BRACKETS = str.maketrans({"<": "‹", ">": "›"})


def shown(text: str) -> str:
    """Return a text as the model is shown it: unable to end its own message or begin another's.

    The template marks turns and sections by `<|im_end|>`, `<END CONVERSATION>`, blank lines and `USER:`. Whoever writes
    these into a prompt would have the model judge a sentence of theirs instead; so angle brackets become other ones,
    roles lose their colon and blank lines go. Compatibility forms and invisible characters, which could hide any of
    these, are resolved first. Nothing is cut off.

    Args:
        text: As it came.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_BRACKETS)
    lines = (_without("Cc", line).strip() for line in _without("Cf", plain).splitlines())
    return _ROLE.sub(r"\1 -", "\n".join(line for line in lines if line))


def probe() -> str:
    """Return the harmless text a template is tried on."""
    return _PROBE


def check_template(rendered: str) -> None:
    """Check that what a chat template made of the probe is a guard's question.

    Args:
        rendered: The whole question, as text.

    Raises:
        GuardTemplateError: It does not show the text exactly once, does not ask for these labels and categories, or
            leaves no assistant's turn open at its end.
    """
    if rendered.count(_PROBE) != 1:
        raise GuardTemplateError(f"the chat template must show the text once, it does {rendered.count(_PROBE)} times")
    asked = [f"{PREFIX} {label}" for label in LABELS] + [CATEGORIES_PREFIX.strip(), *CATEGORIES]
    missing = [each for each in asked if each not in rendered]
    if missing:
        raise GuardTemplateError(f"the chat template is not the guard's, it never says {missing[0]!r}")
    if "assistant" not in rendered.partition(_PROBE)[2]:
        raise GuardTemplateError("the chat template leaves no turn open for the answer")


def parse_categories(answer: str) -> tuple[str, ...]:
    """Read the model's list of categories.

    Args:
        answer: What follows `Categories:`, up to the end of its line.

    Returns:
        Each category once, in the order named; `("None",)` for none.

    Raises:
        GuardNonsenseError: It names something else, nothing at all, or both none and some. What it said is left out.
    """
    named = tuple(dict.fromkeys(part.strip() for part in answer.split(",")))
    if not set(named) <= set(CATEGORIES):
        raise GuardNonsenseError("the model named a category it does not have")
    if NO_CATEGORY in named and len(named) > 1:
        raise GuardNonsenseError("the model named none and some categories at once")
    return named


def _without(category: str, text: str) -> str:
    """Return the text without the characters of a Unicode category; tabs stay."""
    return "".join(each for each in text if each == "\t" or unicodedata.category(each) != category)
