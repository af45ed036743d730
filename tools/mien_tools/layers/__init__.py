"""The layers that Mien knows: one file each, found by being here.

`python -m mien_tools.layers` prints them as a Markdown table.
"""

import importlib
import pkgutil
from collections.abc import Iterable

from mien_tools import markdown
from mien_tools.layer import Layer


def _load() -> dict[str, Layer]:
    names = [module.name for module in pkgutil.iter_modules(__path__) if module.name != "__main__"]
    records = [importlib.import_module(f"{__name__}.{name}").RECORD for name in names]
    return {record.kind: record for record in sorted(records, key=lambda record: record.kind)}


# By kind.
LAYERS: dict[str, Layer] = _load()


def table(records: Iterable[Layer]) -> str:
    """A Markdown table of layers: what they compute, and what PyTorch and ONNX call them."""
    rows = []
    for record in records:
        spellings = [f"nn.{name}" for name in record.modules()]
        spellings += [_short(name) for name in record.functions() if not name.endswith("_")]
        pytorch = ", ".join(f"`{name}`" for name in dict.fromkeys(spellings))
        rows.append((f"`{record.kind}`", record.summary, pytorch, f"`{record.onnx}`"))
    return "\n".join(markdown.table(("layer", "what it computes", "PyTorch", "ONNX"), rows))


def _short(function: str) -> str:
    operators = {"operator.add": "+", "operator.iadd": "+="}
    return operators.get(function, function.replace("torch.nn.functional.", "F."))
