"""What can go wrong in the policy package.

A refusal is not in this list: it is an outcome, carried by a `Verdict`.
"""


class PolicyError(Exception):
    """Base of every error this package raises."""


class RuleError(PolicyError):
    """A rule file cannot be read, is malformed, or a rule fails its own examples; the message names file and rule."""


class KnownPictureListError(PolicyError):
    """A list of known pictures cannot be read; the message names the list and the line."""


class SubjectError(PolicyError):
    """A subject does not hold what it promises, e.g. pixels that are not uint8 (h, w, 3)."""


class VerdictError(PolicyError):
    """A verdict contradicts its findings, or a stored verdict cannot be read back."""


class NotClearedError(PolicyError):
    """Something was to be cleared, or read as cleared, without a verdict that allows it."""
