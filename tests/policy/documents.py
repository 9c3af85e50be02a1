"""Small rule documents for tests; every field can be replaced, or left out with None."""

import tomllib

from policy.documents import Document
from policy.ruleset import parse_rule_set

BLOCK = {"request": "block", "input_image": "block", "output_image": "block"}
REVIEW = {"request": "review", "input_image": "review", "output_image": "review"}
NOTHING = {"request": "allow", "input_image": "allow", "output_image": "allow"}


def rule_fields(**changes):
    fields = {
        "id": "art-01",
        "title": "A test rule",
        "why": "For tests.",
        "reason": "This is not made here.",
        "severity": "high",
        "actions": BLOCK,
        "languages": ["en", "zh"],
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def category(*rules, name="art", **changes):
    content = {
        "version": "2026.01.01",
        "category": name,
        "title": "Art",
        "summary": "Of art.",
        "rules": list(rules) or [rule_fields()],
    }
    content |= changes
    return Document(name=f"{name}.toml", content={k: v for k, v in content.items() if v is not None})


ENGLISH = {"phrases": ["forbidden"], "allow": ["a lamp"], "catch": ["a forbidden lamp"]}
CHINESE = {"phrases": ["禁止"], "allow": ["一盏灯"], "catch": ["禁止的灯"]}


def language(code="en", rules=None, name="art", **changes):
    content = {"version": "2026.01.01", "language": code, "category": name}
    content["rules"] = rules if rules is not None else {"art-01": ENGLISH if code == "en" else CHINESE}
    return Document(name=f"{code}/{name}.toml", content=content | changes)


def terms(code="en", version="2026.01.02", **lists):
    content = {"version": version, "language": code, "terms": lists}
    return Document(name=f"{code}/terms.toml", content=content)


def operator(document):
    return Document(name=f"operator:{document.name}", content=document.content, text=document.text)


def written(name, text):
    """A document as it is read from a file, so that errors can name its lines."""
    return Document(name=name, content=tomllib.loads(text), text=text)


def small_set(english=None, *, lists=None, chinese=None, extra=(), **changes):
    """One rule, `art-01`: its English part replaced by `english`, its other fields by `changes`."""
    parts = {"phrases": None, "allow": ["a lamp"], "catch": []} if english is None else ENGLISH | english
    parts = {key: value for key, value in parts.items() if value is not None}
    return parse_rule_set(
        [
            category(rule_fields(**changes)),
            language("en", {"art-01": parts}),
            language("zh", {"art-01": CHINESE | (chinese or {})}),
            *([terms(**lists)] if lists else []),
            *extra,
        ]
    )
