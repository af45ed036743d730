"""What the comparisons share: programs that answer commands, and the processor's name."""

import platform
import re
import subprocess
from pathlib import Path


class EngineError(RuntimeError):
    """An engine cannot do what it is asked; the message says why."""


class ServedProgram:
    """A program that answers each line of its input with one line, until its input ends."""

    def __init__(self, command: list[object]) -> None:
        self._name = Path(str(command[0])).name
        self._program = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._program.pid

    def ask(self, command: str) -> str:
        try:
            self._program.stdin.write(f"{command}\n")
            self._program.stdin.flush()
        except BrokenPipeError as error:
            raise EngineError(f"{self._name} ended, see its message above") from error
        answer = self._program.stdout.readline()
        if not answer:
            raise EngineError(f"{self._name} ended, see its message above")
        return answer.strip()


def processor() -> str:
    """The processor's name, family and model: a virtual machine's name alone can say little."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    fields = dict(re.findall(r"^([\w ]+?)\s*:\s*(.+)$", text, flags=re.MULTILINE))
    names = ("model name", "cpu family", "model")
    if not all(name in fields for name in names):
        return platform.machine()
    return "{}, family {}, model {}".format(*(fields[name] for name in names))
