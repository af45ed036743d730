"""Programs that answer commands."""

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
