"""Rule files of an operator's own, about words that nobody says otherwise; written to a folder as operators do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from policy import Policy, load_known_pictures
from policy.loading import read_documents
from policy.ruleset import parse_rule_set


@dataclass(frozen=True)
class House:
    """One rule: what it forbids, and what it does about it at the default tolerance."""

    word: str
    action: str = "block"
    severity: str = "high"
    applies_to: tuple[str, ...] = ("prompt", "name")
    reason: str = "This house does not make that."

    @property
    def rule(self) -> str:
        """Its id."""
        return f"harassment-{self.word}-01"

    def table(self) -> str:
        """Its part of the category's file."""
        actions = ", ".join(f'{stage} = "{self.action}"' for stage in ("request", "input_image", "output_image"))
        places = ", ".join(f'"{each}"' for each in self.applies_to)
        return (
            f'[[rules]]\nid = "{self.rule}"\ntitle = "About {self.word}"\nwhy = "For tests."\n'
            f'reason = "{self.reason}"\nseverity = "{self.severity}"\nactions = {{ {actions} }}\n'
            f'languages = ["en"]\napplies_to = [{places}]\n'
        )

    def words(self) -> str:
        """Its part of the language's file."""
        return (
            f'[rules.{self.rule}]\nphrases = ["{self.word}"]\n'
            f'allow = ["a lamp"]\ncatch = ["somebody\'s {self.word} at night"]\n'
        )


def write_rules(folder: Path, rules: Sequence[House], *, version: str = "2027.01.01") -> Path:
    """Write the two files of a category, in place of those that are there."""
    (folder / "en").mkdir(parents=True, exist_ok=True)
    head = f'version = "{version}"\n'
    tables = "".join(each.table() for each in rules)
    words = "".join(each.words() for each in rules)
    of_category = f'{head}category = "harassment"\ntitle = "House"\nsummary = "Rules of this house."\n{tables}'
    (folder / "harassment.toml").write_text(of_category)
    (folder / "en" / "harassment.toml").write_text(f'{head}language = "en"\ncategory = "harassment"\n{words}')
    return folder


def load_house(folder: Path) -> Policy:
    """A policy of these rules alone: the shipped ones take a second to load."""
    return Policy(parse_rule_set(read_documents(folder, "operator:")), [load_known_pictures()])
