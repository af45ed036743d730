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
    """A Markdown table of layers: what they compute, and the operators of ONNX that become them."""
    rows = []
    for record in records:
        operators = dict.fromkeys((*record.operators(), record.onnx))
        spelled = ", ".join(f"`{name}`" for name in operators)
        rows.append((f"`{record.kind}`", record.summary, spelled))
    return "\n".join(markdown.table(("layer", "what it computes", "ONNX"), rows))
