"""The words of a request: its prompt and its negative prompt, kept in the vault as one text. Pure.

Both lie under the job's one reference, so that erasing it erases all that somebody wrote, at once. A job without a
negative prompt keeps its prompt as it is; one with both keeps them as JSON, and its parameters say so: whether a text
is JSON is never guessed from the text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

NEGATIVE: Final = "negative_prompt_given"
"""Parameter of jobs that have a negative prompt, whose text the record must not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What somebody wrote.

    Attributes:
        prompt: What to show; None where the operation has no prompt, or if it was erased.
        negative: What not to show; empty for nothing.
    """

    prompt: str | None
    negative: str = ""

    @property
    def kept(self) -> str | None:
        """The text for the vault."""
        if self.prompt is None or not self.negative:
            return self.prompt
        return json.dumps({"prompt": self.prompt, "negative_prompt": self.negative}, ensure_ascii=False)


def read_words(kept: str | None, parameters: Mapping[str, Any]) -> Words:
    """Read back what the vault kept.

    Args:
        kept: The vault's text; None if there was none, or if it was erased.
        parameters: The job's.

    Returns:
        The words.
    """
    if kept is None or not parameters.get(NEGATIVE):
        return Words(prompt=kept)
    both = json.loads(kept)
    return Words(prompt=both["prompt"], negative=both["negative_prompt"])
