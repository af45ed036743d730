"""What Python exports, C++ takes and computes alike: as types, and as graphs in weight files.

All of it is one program, for compiling takes longer than anything that it does.
"""

from pathlib import Path

import pytest
import torch
from cpp import MISSING_CPP, run_program
from random_networks import INPUT_SHAPE, RandomNetwork
from test_export import Heads, no_face
from test_header import librarys_header

from mien_tools.export import HeaderTarget, Network, export, own_network
from mien_tools.networks import NETWORKS

# float32 against float64, relative to the largest output.
TOLERANCE = 1e-5

PROGRAM = """\
#include <exception>
#include <iostream>

#include <mien/model.hpp>
{includes}

template <class Network>
void check(const char* type, const char* file) {{
  std::cout << type << '|';
  try {{
    std::cout << Network::load(file).verify() << '\\n';
  }} catch (const std::exception& error) {{
    std::cout << error.what() << '\\n';
  }}
}}

int main() {{
{calls}
}}
"""


class Program:
    """The program's parts: a line for each type and the file that it is to take."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.includes: list[str] = []
        self.calls: list[str] = []
        self.largest_outputs: dict[str, float] = {}

    def add(self, network: Network, type_name: str = "", header: str = "", **options) -> None:
        """Export a network, to be taken by mien::Model and, if a name is given, by its type."""
        namespace, _, struct = type_name.rpartition("::")
        path = self.folder / f"{namespace.replace('::', '_')}{struct or network.name}"
        target = HeaderTarget(path.with_suffix(".hpp"), struct, namespace) if struct else None
        file = path.with_suffix(".mien")
        exported = export(network, file, header_target=target, **options)
        if struct:
            self.includes.append(f'#include "{target.path.name}"')
        if header:
            self.includes.append(f"#include <mien/models/{header}>")
        types = ["mien::Model", *([f"::{type_name}"] if struct else [])]
        types += [f"mien::{struct}"] if header else []
        for name in types:
            label = f"{name} {file.name}"
            self.calls.append(f'  check<{name}>("{label}", "{file.name}");')
            self.largest_outputs[label] = exported.largest_output

    def differences(self) -> dict[str, str]:
        """What the program prints of each type."""
        text = PROGRAM.format(includes="\n".join(self.includes), calls="\n".join(self.calls))
        (self.folder / "program.cpp").write_text(text)
        return dict(
            line.split("|") for line in run_program("program.cpp", self.folder).splitlines()
        )


@pytest.mark.skipif(bool(MISSING_CPP), reason=MISSING_CPP)
def test_cpp_computes_what_pytorch_does(tmp_path: Path) -> None:
    program = Program(tmp_path)
    for seed in range(2, 8):
        namespace = ("", "faces::small::", "mien::")[seed % 3]
        network = Network(RandomNetwork(seed), f"random{seed}", INPUT_SHAPE, no_face(2))
        program.add(network, f"{namespace}Random{seed}")
    # Mien's own types and the generated ones take the same file. The largest networks are hundreds
    # of MB; tests/programs/test_parity.py has them.
    for name, info in NETWORKS.items():
        if info.input_size < 100:
            torch.manual_seed(1)
            header = librarys_header(name).name
            program.add(own_network(info), f"generated::{info.build.__name__}", header, half=True)
    torch.manual_seed(3)
    program.add(Network(Heads(with_vector=True), "heads", (3, 40, 32), no_face(3)))
    program.add(Network(Heads(), "free_heads", (3, None, None), no_face(3)))

    differences = program.differences()
    assert differences.keys() == program.largest_outputs.keys()
    wrong = {}
    for label, difference in differences.items():
        try:
            is_small = float(difference) <= TOLERANCE * max(1.0, program.largest_outputs[label])
        except ValueError:
            is_small = False
        if not is_small:
            wrong[label] = difference
    assert not wrong
