"""A light learned head: a second opinion on words that no rule recognised, which can send to review and never blocks.

A linear model over hashed characters and words, with identity words masked. `MODEL_CARD.md` says what it was trained
on, what it reaches and what it cannot do; `policy.head.training` trains it anew.
"""

from policy.head.screener import LearnedHead

__all__ = ["LearnedHead"]
