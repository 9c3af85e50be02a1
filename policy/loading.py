"""Reads rules and lists from files: the one module of this package that opens any."""

import tomllib
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from policy.documents import Document
from policy.errors import KnownPictureListError, RuleError
from policy.head import LearnedHead
from policy.known_pictures import KnownPictureList, KnownPictureScreener, parse_digests
from policy.policy import Policy
from policy.rule_screener import RuleScreener
from policy.ruleset import RuleSet, parse_rule_set
from policy.screeners import Screener


def load_rules(extra: Path | None = None) -> RuleSet:
    """Load the shipped rules, and an operator's own after them.

    Args:
        extra: The operator's folder, laid out as `policy/rules`, with an `overrides.toml` if actions are to change.

    Returns:
        The rule set.

    Raises:
        RuleError: A folder or file cannot be read, or a rule is malformed; the message names file and line.
    """
    return parse_rule_set([*read_documents(resources.files("policy").joinpath("rules")), *_extra(extra)])


def read_documents(place: Traversable, prefix: str = "") -> list[Document]:
    """Read every `*.toml` of a folder and of the folders in it, one per language.

    Args:
        place: The folder.
        prefix: Put before the documents' names.

    Returns:
        The documents, in the order of their names; none if the folder holds none.

    Raises:
        RuleError: The folder or a file cannot be read, or is no TOML.
    """
    try:
        entries = sorted(place.iterdir(), key=lambda entry: entry.name)
        documents = [_document(entry, prefix + entry.name) for entry in entries if entry.name.endswith(".toml")]
        for folder in entries:
            if folder.is_dir() and not folder.name.startswith((".", "_")) and "/" not in prefix:
                documents += read_documents(folder, f"{prefix}{folder.name}/")
    except OSError as error:
        raise RuleError(f"rules cannot be read: {error.filename}: {error.strerror}") from error
    return documents


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


def load_policy(
    *, rules: Path | None = None, operator_list: Path | None = None, screeners: Sequence[Screener] = ()
) -> Policy:
    """Load the policy a server runs: rules and learned head on texts, the lists of known pictures on pictures.

    Args:
        rules: The operator's folder of rules, added to the shipped ones, or None.
        operator_list: The operator's own list of known pictures, or None.
        screeners: Further screeners, asked after these.

    Raises:
        RuleError: The rules cannot be read or are malformed.
        KnownPictureListError: The shipped list cannot be read.
    """
    rule_set = load_rules(rules)
    head = LearnedHead.load(rule_set.reader)
    return Policy(rule_set, [load_known_pictures(operator_list), RuleScreener(rule_set), head, *screeners])


def _extra(folder: Path | None) -> list[Document]:
    return [] if folder is None else read_documents(folder, "operator:")


def _document(file: Traversable, name: str) -> Document:
    try:
        text = file.read_text("utf-8")
        return Document(name=name, content=tomllib.loads(text), text=text)
    except (ValueError, RecursionError) as error:  # of no UTF-8, no TOML, a number of 5,000 digits; nested too deeply
        raise RuleError(f"{name}: not TOML: {error}") from error


def _read_operator_list(file: Path) -> KnownPictureList:
    try:
        digests = parse_digests(file.read_text("utf-8"), where="operator's list")
    except (OSError, UnicodeDecodeError, KnownPictureListError) as error:
        # Kept as a problem, not raised: texts can still be screened, and every picture is blocked until it is mended.
        problem = str(error) if isinstance(error, KnownPictureListError) else f"operator's list: {type(error).__name__}"
        return KnownPictureList(name="operator", digests=frozenset(), problem=problem)
    return KnownPictureList(name="operator", digests=digests)
