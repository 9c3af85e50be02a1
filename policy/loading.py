"""Reads rules and lists from files: the one module of this package that opens any."""

import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from policy.errors import KnownPictureListError, RuleError
from policy.known_pictures import KnownPictureList, KnownPictureScreener, parse_digests
from policy.policy import Policy
from policy.ruleset import RuleSet, parse_rule_set


def load_rules(folder: Path | None = None) -> RuleSet:
    """Load every `*.toml` of a folder as rules.

    Args:
        folder: Where the files are; None for the rules shipped with this package.

    Returns:
        The rule set; empty, so that it blocks everything, if the folder holds no such file.

    Raises:
        RuleError: The folder or a file cannot be read, or a rule is malformed; the message names file and rule.
    """
    place: Traversable = resources.files("policy").joinpath("rules") if folder is None else folder
    try:
        files = sorted((entry for entry in place.iterdir() if entry.name.endswith(".toml")), key=lambda f: f.name)
        documents = {entry.name.removesuffix(".toml"): _read_toml(entry) for entry in files}
    except OSError as error:
        raise RuleError(f"rules cannot be read: {error.filename}: {error.strerror}") from error
    return parse_rule_set(documents)


def load_known_pictures(operator_list: Path | None = None) -> KnownPictureScreener:
    """Load the shipped list of known pictures and the operator's own.

    Args:
        operator_list: A file with one SHA-256 digest a line, or None. If it cannot be read the screener blocks every
            picture and says why in `problems()`.

    Raises:
        KnownPictureListError: The shipped list cannot be read.
    """
    shipped = resources.files("policy").joinpath("lists", "known_pictures.txt")
    try:
        lists = [
            KnownPictureList(name="shipped", digests=parse_digests(shipped.read_text("utf-8"), where="shipped list"))
        ]
    except (OSError, UnicodeDecodeError) as error:
        raise KnownPictureListError(f"shipped list: {type(error).__name__}") from error
    if operator_list is not None:
        lists.append(_read_operator_list(operator_list))
    return KnownPictureScreener(lists)


def load_policy(*, rules: Path | None = None, operator_list: Path | None = None) -> Policy:
    """Load the policy a server runs: its rules on texts, the lists of known pictures on pictures.

    Args:
        rules: Folder of rule files, None for the shipped ones.
        operator_list: The operator's own list of known pictures, or None.

    Raises:
        RuleError: The rules cannot be read or are malformed.
        KnownPictureListError: The shipped list cannot be read.
    """
    return Policy(load_rules(rules), [load_known_pictures(operator_list)])


def _read_toml(file: Traversable) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RuleError(f"{file.name}: not TOML: {error}") from error


def _read_operator_list(file: Path) -> KnownPictureList:
    try:
        digests = parse_digests(file.read_text("utf-8"), where="operator's list")
    except (OSError, UnicodeDecodeError, KnownPictureListError) as error:
        # Kept as a problem, not raised: texts can still be screened, and every picture is blocked until it is mended.
        problem = str(error) if isinstance(error, KnownPictureListError) else f"operator's list: {type(error).__name__}"
        return KnownPictureList(name="operator", digests=frozenset(), problem=problem)
    return KnownPictureList(name="operator", digests=digests)
