"""From category documents to volume rules. Pure.

An operator's volume rule takes the place of the shipped one with its id: what is honest volume differs from house to
house. Any other id can be used once.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from policy.documents import OVERRIDES, Document, read_tables
from policy.errors import RuleError
from policy.vocabulary import Vocabulary
from policy.volume import VolumeRule, parse_volume

OPERATOR: Final = "operator:"
"""What the names of an operator's documents begin with."""


def parse_volumes(
    documents: Iterable[Document], vocabulary: Vocabulary, taken: Collection[str]
) -> tuple[VolumeRule, ...]:
    """Read the volume rules of all category documents.

    Args:
        documents: The shipped ones, then the operator's; those that are no category's are left alone.
        vocabulary: The lists that rules may be about.
        taken: Ids of other rules.

    Returns:
        The rules, in the order of their ids.

    Raises:
        RuleError: A field is missing, unknown or out of range, an id is taken, or a list does not exist.
    """
    found: dict[str, VolumeRule] = {}
    for document in documents:
        if document.language is None and document.stem != OVERRIDES:
            for rule in _read(document, vocabulary):
                if rule.id in taken or (rule.id in found and not _replaces(rule, found[rule.id])):
                    raise RuleError(f"{rule.where}: {rule.id}: id already used")
                found[rule.id] = rule
    return tuple(found[identifier] for identifier in sorted(found))


def _read(document: Document, vocabulary: Vocabulary) -> Iterator[VolumeRule]:
    for number, fields in enumerate(read_tables(document.name, document.content, "volume", optional=True), 1):
        identifier = fields.get("id", f"volume rule number {number}")
        where = document.at(f'"{identifier}"')
        rule = parse_volume(where, fields)
        if rule.category != document.stem:
            raise RuleError(f"{where}: id must begin with the category, {document.stem}, got {rule.id!r}")
        for name in rule.about:
            if name not in vocabulary:
                raise RuleError(f"{where}: {rule.id}: unknown term <{name}>")
        yield rule


def _replaces(rule: VolumeRule, known: VolumeRule) -> bool:
    return rule.where.startswith(OPERATOR) and not known.where.startswith(OPERATOR)
