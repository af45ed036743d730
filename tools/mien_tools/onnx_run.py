"""Runs a model of ONNX: by ONNX Runtime where it is installed, else by ONNX's own reference."""

from collections.abc import Mapping

import numpy as np

from mien_tools.onnx_node import OnnxError


class OnnxRunner:
    """A model, ready to run. Raises OnnxError, beginning with `where`, if it cannot."""

    def __init__(self, model, where: str) -> None:
        self._where = where
        self._outputs = [entry.name for entry in model.graph.output]
        try:
            self._run = _with_onnx_runtime(model) or _with_reference(model)
        except Exception as error:
            raise OnnxError(f"{where}: {type(error).__name__}: {error}") from error

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs for one image each, without the batch, by name."""
        try:
            results = self._run({name: values[None] for name, values in inputs.items()})
        except Exception as error:
            raise OnnxError(f"{self._where}: {type(error).__name__}: {error}") from error
        return {
            name: np.asarray(values)[0] for name, values in zip(self._outputs, results, strict=True)
        }


def _with_onnx_runtime(model):
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda inputs: session.run(None, inputs)


def _with_reference(model):
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
    return lambda inputs: evaluator.run(None, inputs)
