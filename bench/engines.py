"""Inference engines that run MiniFER, each behind the same few methods.

    python bench/engines.py NAME FOLDER

loads one engine in a process of its own and prints, as one line of JSON, how long loading and the
first inference took and how much memory they needed. FOLDER is what compare.py prepared.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import re
import sys
import time
from pathlib import Path

import numpy as np

from comparison import onnx_runtime_session
from served import EngineError, ServedProgram

INPUT_SHAPE = (1, 1, 40, 40)
INPUT_NAME = "input"
OUTPUT_NAME = "output"

# What a prepared folder holds.
INPUTS_FILE = "inputs.f32"
MIEN_FILE = "mini_fer.mien"
MIEN_INT8_FILE = "mini_fer_int8.mien"
PROGRAM_FILE = "serve_times"
STATE_FILE = "mini_fer_state.pt"
TRACED_FILE = "mini_fer_traced.pt"
ONNX_FILE = "mini_fer.onnx"
ONNX_INT8_FILE = "mini_fer_int8.onnx"
OPENVINO_INT8_FILE = "mini_fer_int8.xml"
MNN_FILE = "mini_fer.mnn"
NCNN_PARAM_FILE = "mini_fer.ncnn.param"
NCNN_BIN_FILE = "mini_fer.ncnn.bin"


class Engine:
    """One engine with MiniFER loaded, on one thread."""

    # Its name in tables, the Python package it comes from, and that package's name in pip.
    name = ""
    module = ""
    package = ""

    def __init__(self, folder: Path) -> None:
        inputs = np.fromfile(folder / INPUTS_FILE, dtype=np.float32)
        self.inputs = inputs.reshape(-1, *INPUT_SHAPE)

    def version(self) -> str:
        return importlib.metadata.version(self.package)

    def run(self, index: int) -> np.ndarray:
        """One inference, from an input in memory to its seven outputs in memory."""
        raise NotImplementedError

    def times(self, count: int) -> list[int]:
        """Nanoseconds of CPU time of each of `count` inferences, on the inputs in rotation.

        By the wall clock, other programs on the core would hit slow engines more often than fast.
        """
        nanoseconds = []
        for index in range(count):
            start = time.process_time_ns()
            self.run(index % len(self.inputs))
            nanoseconds.append(time.process_time_ns() - start)
        return nanoseconds

    @classmethod
    def measure_start(cls, folder: Path) -> dict[str, float]:
        """Load and run once: milliseconds, without importing the package, and MiB, with it."""
        before = _peak_bytes(os.getpid())
        importlib.import_module(cls.module)
        start = time.perf_counter_ns()
        cls(folder).run(0)
        nanoseconds = time.perf_counter_ns() - start
        return _start_report(nanoseconds, _peak_bytes(os.getpid()) - before)


class Mien(Engine):
    """Mien, through the program serve_times."""

    name = "Mien"
    file = MIEN_FILE

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        command = [folder / PROGRAM_FILE, folder / self.file, folder / INPUTS_FILE]
        self._program = ServedProgram(command)

    def version(self) -> str:
        return self._program.ask("about")

    def run(self, index: int) -> np.ndarray:
        return np.array(self._program.ask(f"output {index}").split(), dtype=np.float32)

    def times(self, count: int) -> list[int]:
        return [int(word) for word in self._program.ask(f"run {count}").split()]

    @classmethod
    def measure_start(cls, folder: Path) -> dict[str, float]:
        engine = cls(folder)
        nanoseconds = int(engine._program.ask("start"))
        return _start_report(nanoseconds, _peak_bytes(engine._program.pid))


class MienInt8(Mien):
    """Mien with products of 8 bits where the file has them."""

    name = "Mien, int8"
    file = MIEN_INT8_FILE


class OnnxRuntime(Engine):
    name = "ONNX Runtime"
    module = "onnxruntime"
    package = "onnxruntime"
    file = ONNX_FILE

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._session = onnx_runtime_session(folder / self.file)

    def run(self, index: int) -> np.ndarray:
        return self._session.run(None, {INPUT_NAME: self.inputs[index]})[0]


class OnnxRuntimeInt8(OnnxRuntime):
    """ONNX Runtime with the model that its own quantize_static makes: QDQ, scales by channel."""

    name = "ONNX Runtime, int8"
    file = ONNX_INT8_FILE


class OpenVino(Engine):
    name = "OpenVINO"
    module = "openvino"
    package = "openvino"
    precision = "f32"
    file = ONNX_FILE

    def __init__(self, folder: Path) -> None:
        import openvino

        super().__init__(folder)
        options = {
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self.precision,
        }
        core = openvino.Core()
        self._request = core.compile_model(
            folder / self.file, "CPU", options
        ).create_infer_request()

    def run(self, index: int) -> np.ndarray:
        return self._request.infer({INPUT_NAME: self.inputs[index]})[OUTPUT_NAME]


class OpenVinoBfloat16(OpenVino):
    """Rounds where the processor has instructions for bfloat16, and is the same elsewhere."""

    name = "OpenVINO, bfloat16"
    precision = "bf16"


class OpenVinoInt8(OpenVino):
    """OpenVINO with the model that NNCF's quantize makes, with its defaults."""

    name = "OpenVINO, int8 by NNCF"
    file = OPENVINO_INT8_FILE


class Mnn(Engine):
    name = "MNN"
    module = "MNN"
    package = "MNN"
    precision = "normal"

    def __init__(self, folder: Path) -> None:
        import MNN

        super().__init__(folder)
        self._interpreter = MNN.Interpreter(str(folder / MNN_FILE))
        self.set_hints()
        options = {"backend": "CPU", "numThread": 1, "precision": self.precision}
        self._session = self._interpreter.createSession(options)
        self._input = self._interpreter.getSessionInput(self._session)
        self._output = self._interpreter.getSessionOutput(self._session)

        def host_tensor(values: np.ndarray) -> MNN.Tensor:
            layout = MNN.Tensor_DimensionType_Caffe
            return MNN.Tensor(values.shape, MNN.Halide_Type_Float, values, layout)

        self._host_inputs = [host_tensor(values) for values in self.inputs]
        self._host_output = host_tensor(np.zeros(self._output.getShape(), dtype=np.float32))

    def set_hints(self) -> None:
        """Leave MNN's defaults as they are."""

    def run(self, index: int) -> np.ndarray:
        self._input.copyFrom(self._host_inputs[index])
        self._interpreter.runSession(self._session)
        self._output.copyToHostTensor(self._host_output)
        return np.array(self._host_output.getNumpyData())


class MnnLowPrecision(Mnn):
    """MNN free to compute in 16 bits where the processor has instructions for them."""

    name = "MNN, low precision"
    precision = "low"


class MnnSmallTiles(Mnn):
    """MNN with smaller tiles in its Winograd convolutions: less memory, less rounding."""

    name = "MNN, Winograd memory level 1"

    def set_hints(self) -> None:
        winograd_memory_level = 3  # Interpreter::HintMode in MNN/Interpreter.hpp
        self._interpreter.setSessionHint(winograd_memory_level, 1)


class Ncnn(Engine):
    name = "ncnn"
    module = "ncnn"
    package = "ncnn"

    def __init__(self, folder: Path) -> None:
        import ncnn

        super().__init__(folder)
        self._net = ncnn.Net()
        self._net.opt.num_threads = 1
        self.set_options(self._net.opt)
        for load, file in (
            (self._net.load_param, NCNN_PARAM_FILE),
            (self._net.load_model, NCNN_BIN_FILE),
        ):
            if load(str(folder / file)) != 0:
                raise EngineError(f"cannot load {file}")
        self._mats = [ncnn.Mat(values[0]).clone() for values in self.inputs]

    def set_options(self, options: object) -> None:
        """Leave ncnn's defaults as they are."""

    def run(self, index: int) -> np.ndarray:
        extractor = self._net.create_extractor()
        extractor.input("in0", self._mats[index])
        return np.array(extractor.extract("out0")[1])


class NcnnBfloat16(Ncnn):
    """ncnn with weights and layers' outputs in bfloat16: fast and inexact."""

    name = "ncnn, bfloat16"

    def set_options(self, options: object) -> None:
        options.use_bf16_storage = True
        options.use_bf16_packed = True


class OpenCvDnn(Engine):
    name = "OpenCV DNN"
    module = "cv2"
    package = "opencv-python-headless"

    def __init__(self, folder: Path) -> None:
        import cv2

        super().__init__(folder)
        cv2.setNumThreads(1)
        self._net = cv2.dnn.readNetFromONNX(str(folder / ONNX_FILE))

    def run(self, index: int) -> np.ndarray:
        self._net.setInput(self.inputs[index])
        return self._net.forward()


class TorchEager(Engine):
    name = "PyTorch"
    module = "torch"
    package = "torch"

    def __init__(self, folder: Path) -> None:
        import torch

        super().__init__(folder)
        torch.set_num_threads(1)
        self._inference_mode = torch.inference_mode
        self._tensors = torch.from_numpy(self.inputs)
        self._module = self.load(folder)

    def load(self, folder: Path) -> object:
        import torch

        from mien_tools.networks.mini_fer import MiniFer

        module = MiniFer()
        module.load_state_dict(torch.load(folder / STATE_FILE))
        return module.eval()

    def run(self, index: int) -> np.ndarray:
        with self._inference_mode():
            return self._module(self._tensors[index]).numpy()


class TorchOptimized(TorchEager):
    name = "PyTorch, jit.optimize_for_inference"

    def load(self, folder: Path) -> object:
        import torch

        frozen = torch.jit.freeze(torch.jit.load(folder / TRACED_FILE).eval())
        return torch.jit.optimize_for_inference(frozen)


ENGINES: tuple[type[Engine], ...] = (
    Mien,
    MienInt8,
    OnnxRuntime,
    OnnxRuntimeInt8,
    OpenVino,
    OpenVinoBfloat16,
    OpenVinoInt8,
    Mnn,
    MnnLowPrecision,
    MnnSmallTiles,
    Ncnn,
    NcnnBfloat16,
    OpenCvDnn,
    TorchEager,
    TorchOptimized,
)


def _peak_bytes(process: int) -> int:
    """The most memory that a process has had resident so far."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024


def _start_report(nanoseconds: int, memory: int) -> dict[str, float]:
    return {"milliseconds": nanoseconds / 1e6, "mebibytes": memory / 2**20}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures one engine's start and memory.")
    parser.add_argument("name", choices=[engine.name for engine in ENGINES])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    engine = next(engine for engine in ENGINES if engine.name == arguments.name)
    print(json.dumps(engine.measure_start(arguments.folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
