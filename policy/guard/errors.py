"""What can go wrong with the guard model. The class alone reaches operators from its process, so it says the cause."""

from policy.errors import PolicyError


class GuardError(PolicyError):
    """Base of every error of the guard model."""


class GuardMissingError(GuardError):
    """The model is not on this machine, or its files are not all there; the message says what to do next."""


class GuardFilesError(GuardError):
    """The files are not those of a model this guard runs: another class, pickled weights, no tokenizer."""


class GuardTamperedError(GuardError):
    """A file's digest is not the expected one."""


class GuardTemplateError(GuardError):
    """There is no chat template, or it is not the guard's: it does not show the text, or asks for other answers."""


class GuardWeightsError(GuardError):
    """Weights are missing, misshapen or not finite."""


class GuardNonsenseError(GuardError):
    """The model answered something other than its three labels and its categories."""


class GuardTextError(GuardError):
    """A text cannot be read whole: too many tokens, or it would forge the model's control tokens."""


class GuardTableError(GuardError):
    """The table of thresholds is malformed; the message names the entry."""
