"""Every operation with every guide on every family of checkpoints, as the catalogue says what can be had. No torch.

`tests/studio/test_matrix.py` runs each case through HTTP on tiny weights; `editing/README.md` shows them as a table.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from editing import Control, ControlKind, Guides, OperationError
from editing.catalogue import CATALOGUE, Checkpoint, Family, check_guides, pick_control
from editing.operations import OperationName

PAINTERS: Final = {
    Family.BASE: ("FLUX.1-dev",),
    Family.FILL: ("FLUX.1-Fill-dev",),
    Family.CONTROL: ("FLUX.1-Canny-dev", "FLUX.1-Depth-dev"),
    Family.KONTEXT: ("FLUX.1-Kontext-dev",),
    Family.KLEIN: ("FLUX.2-klein-4B",),
}
"""What paints in the cases, by family."""
GUIDED: Final = (OperationName.GENERATE, OperationName.IMG2IMG, OperationName.INPAINT, OperationName.OUTPAINT)
"""Operations that take controls and references."""
NONE: Final = "none"
PLAIN: Final = "plain"
MAPS: Final = "detectors"
"""What stands for a family where no model paints."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row and column of the matrix.

    Attributes:
        operation: Its name.
        family: Of what paints; of what reads the control, where that is a further one.
        guide: A kind of control, or another guide, or `plain`.
        checkpoint: What paints; `none` for maps.
        reader: What reads the control, or `none` where the catalogue is to choose.
    """

    operation: OperationName
    family: str
    guide: str
    checkpoint: str
    reader: str = NONE

    def __str__(self) -> str:
        named = "" if self.reader == NONE else f"-{self.reader}"
        return f"{self.operation.value}-{self.family}-{self.guide}{named}"


def cases() -> tuple[Case, ...]:
    """Every case that is to run, in the table's order."""
    return (*_painted(), *_further_readers(), *_other_guides(), *_maps())


def _painted() -> Iterator[Case]:
    for family, names in PAINTERS.items():
        for name in names:
            checkpoint = CATALOGUE[name]
            for operation in OperationName:
                if operation in checkpoint.operations:
                    if family is not Family.CONTROL:  # it always reads a control image
                        yield Case(operation, family.value, PLAIN, name)
                    for kind in ControlKind if operation in GUIDED else ():
                        if _reads(checkpoint, kind):
                            yield Case(operation, family.value, kind.value, name)


def _reads(checkpoint: Checkpoint, kind: ControlKind) -> bool:
    try:
        reader = pick_control(kind, checkpoint.name)
        defaults = reader.controls[kind]
        given = Control(kind=kind, checkpoint=reader.name, scale=defaults.scale, start=defaults.start, end=defaults.end)
        check_guides(checkpoint, Guides(controls=(given,)), true_cfg=1.0)
    except OperationError:
        return False
    return True


def _further_readers() -> Iterator[Case]:
    """ControlNets and control LoRAs that the catalogue would not have chosen by itself."""
    (base,) = PAINTERS[Family.BASE]
    for reader in CATALOGUE.values():
        if reader.family not in {Family.CONTROLNET, Family.CONTROL_LORA} or not reader.fits(CATALOGUE[base]):
            continue
        for kind in reader.controls:
            if pick_control(kind, base).name != reader.name:
                operations = GUIDED if reader.family is Family.CONTROL_LORA else (OperationName.GENERATE,)
                for operation in operations:
                    yield Case(operation, reader.family.value, kind.value, base, reader.name)


def _other_guides() -> Iterator[Case]:
    (base,), (fill,) = PAINTERS[Family.BASE], PAINTERS[Family.FILL]
    for guide in ("lora", "redux", "ip_adapter", "negative_prompt"):
        for operation in GUIDED:
            yield Case(operation, Family.BASE.value, guide, base)
    for name in (OperationName.INPAINT, OperationName.OUTPAINT):
        yield Case(name, Family.FILL.value, "everything", fill)
        yield Case(name, Family.BASE.value, "everything", base)
    yield Case(OperationName.INPAINT, Family.BASE.value, "inpainting_controlnet", base)
    yield Case(OperationName.INSTRUCT, Family.KONTEXT.value, "lora", PAINTERS[Family.KONTEXT][0])
    yield Case(OperationName.INSTRUCT, Family.KLEIN.value, "others", PAINTERS[Family.KLEIN][0])


def _maps() -> Iterator[Case]:
    for kind in ControlKind:
        yield Case(OperationName.CONTROL_MAP, MAPS, kind.value, NONE)


def table() -> list[str]:
    """The cases as the lines of a Markdown table: one row for each operation and family."""
    rows: dict[tuple[str, str], dict[str, None]] = {}
    for each in cases():
        rows.setdefault((each.operation.value, each.family), {})[each.guide] = None
    order = list(OperationName)
    lines = ["| operation | family | with | test: `tests/studio/test_matrix.py` |", "| --- | --- | --- | --- |"]
    for (operation, family), guides in sorted(rows.items(), key=lambda row: order.index(OperationName(row[0][0]))):
        shown = ", ".join(guide.replace("_", " ") for guide in guides)
        lines.append(f"| `{operation}` | {family.replace('_', ' ')} | {shown} | `-k {operation}-{family}` |")
    return lines
