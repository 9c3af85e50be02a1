"""The edits' bodies for OpenAPI: schema, form variant, and an example each."""

from typing import Any

from studio.api.bodies import LISTS
from studio.jobs.requests import REQUESTS, Request

EXAMPLES: dict[str, dict[str, Any]] = {
    "generate": {"prompt": "a red circle on a sand background", "width": 128, "height": 128, "seed": 7},
    "img2img": {
        "prompt": "a red circle on a sand background",
        "image": "<base64 of photo.jpg>",
        "strength": 0.7,
        "seed": 7,
    },
    "inpaint": {
        "prompt": "a blue star",
        "image": "<base64 of photo.jpg>",
        "mask": "<base64 of mask.png, white where it shall change>",
        "intent": "add",
        "seam_limit": 2,
        "n": 2,
        "seed": 7,
    },
    "outpaint": {"image": "<base64 of photo.jpg>", "left": 64, "right": 64, "seed": 7},
    "erase": {"image": "<base64 of photo.jpg>", "mask": "<base64 of mask.png>", "seed": 7},
    "instruct": {
        "prompt": "make the car red",
        "image": "<base64 of photo.jpg>",
        "checkpoint": "FLUX.1-Kontext-dev",
        "seed": 7,
    },
    "control_map": {"image": "<base64 of photo.jpg>", "detector": "gradient"},
}


IN_ADDRESS: dict[str, tuple[str, ...]] = {"control_map": ("kind",)}
"""Fields that the address says, not the body."""


def body_of(shape: type[Request]) -> dict[str, Any]:
    """The `requestBody` of an edit: JSON, or a form with the pictures as files."""
    reference = {"$ref": f"#/components/schemas/{shape.__name__}"}
    form = {"$ref": f"#/components/schemas/{shape.__name__}Form"}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": reference, "example": EXAMPLES[shape.operation]},
                "multipart/form-data": {"schema": form},
            },
        }
    }


def component_schemas() -> dict[str, Any]:
    """Schemas of every edit's body, for `components.schemas`."""
    found: dict[str, Any] = {}
    for shape in REQUESTS.values():
        schema = shape.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        for name in IN_ADDRESS.get(shape.operation, ()):
            schema["properties"].pop(name)
            schema["required"].remove(name)
        found[shape.__name__] = schema
        found[f"{shape.__name__}Form"] = _as_form(schema)
    return found


def _as_form(schema: dict[str, Any]) -> dict[str, Any]:
    """The same members with pictures as files and lists as JSON text."""
    members = dict(schema["properties"])
    for name in ("image", "mask"):
        if name in members:
            members[name] = {"type": "string", "format": "binary", "description": "A picture file."}
    for name in LISTS:
        if name in members:
            members[name] = {"type": "string", "description": "JSON list, as in the JSON body."}
    return schema | {"properties": members}
