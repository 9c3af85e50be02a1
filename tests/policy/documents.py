"""Small rule documents for tests; every field can be replaced, or left out with None."""


def rule_fields(**changes):
    fields = {
        "id": "minors-01",
        "title": "A test rule",
        "reason": "This is not made here.",
        "decision": "block",
        "any": [r"\bforbidden\b", "禁止"],
        "allow": ["a lamp", "一盏灯"],
        "block": ["a forbidden lamp", "禁止的灯"],
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def rule_document(*rules, **changes):
    return {"version": "2026.01.01", "category": "minors", "rules": list(rules) or [rule_fields(**changes)]}
