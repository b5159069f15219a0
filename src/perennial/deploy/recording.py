"""Run a package's handlers in a bare interpreter, and note every file of it that is opened, imported or mapped.

What such a run of the whole work never touches may be stripped; what it touches must not be.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from perennial.errors import DeployError

# Answers each line of standard input, a handler's module and an event, by a line on the descriptor it is given.
# Descriptors of its own keep what handlers print apart. At the end it tells what it touched.
_RECORDER = """
import json, os, sys
tree, answers = os.path.realpath(sys.argv[1]) + "/", os.fdopen(int(sys.argv[2]), "w")
touched = set()
def look(name, arguments):
    if name == "open" and isinstance(arguments[0], (str, bytes)):
        touched.add(os.path.realpath(os.fsdecode(arguments[0])))
sys.addaudithook(look)
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + [tree]
import importlib
class Context:
    aws_request_id = "11111111-2222-3333-4444-555555555555"
    def get_remaining_time_in_millis(self):
        return 600_000
for line in sys.stdin:
    module, event = json.loads(line)
    print(json.dumps(importlib.import_module(module).handler(event, Context())), file=answers, flush=True)
with open("/proc/self/maps") as maps:
    touched |= {line.split(None, 5)[5].strip() for line in maps if line.count("/")}
touched |= {os.path.realpath(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)}
print(json.dumps(sorted(path[len(tree):] for path in touched if path.startswith(tree))), file=answers, flush=True)
"""
_BYTECODE = re.compile(r"__pycache__/(.+)\.cpython-\d+(\.opt-\d)?\.pyc$")


class Recorder:
    """A process that sees nothing but ``tree``, the built folder of a package, and the variables of ``env``.

    Used as a context manager. Linux only.
    """

    def __init__(self, tree: Path, python: Path, env: Mapping[str, str]) -> None:
        self._tree, self._python, self._env = tree, python, dict(env)
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed at the end of the block

    def __enter__(self) -> Self:
        reading, writing = os.pipe()
        command = [str(self._python), "-I", "-B", "-c", _RECORDER, str(self._tree), str(writing)]
        try:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, stdout=self._said, stderr=subprocess.STDOUT, text=True,
                cwd="/", env=self._env, pass_fds=(writing,),
            )  # fmt: skip
        finally:
            os.close(writing)
        self._answers: IO[str] = os.fdopen(reading)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._answers.close()
        self._said.close()

    def call(self, module: str, event: Mapping[str, Any]) -> Any:
        """What the ``handler`` of a module answers to an event.

        Raises:
            DeployError: it raised; carries the last line that it said.
        """
        return self._ask(json.dumps([module, event]) + "\n")

    def touched(self) -> frozenset[str]:
        """End the process. Files of the tree that it opened, imported or mapped, as paths within; sources, no bytecode.

        Raises:
            DeployError: it ended before.
        """
        found: list[str] = self._ask(None)
        return frozenset(_BYTECODE.sub(r"\1.py", path) for path in found)

    def _ask(self, line: str | None) -> Any:
        assert self._process.stdin is not None
        try:
            if line is None:
                self._process.stdin.close()
            else:
                self._process.stdin.write(line)
                self._process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self._answers.readline()
        if not answer:
            self._process.wait()
            self._said.seek(0)
            said = [text for text in self._said.read().splitlines() if text.strip()]
            raise DeployError(f"{self._tree}: the handler failed: {(said or ['no reason given'])[-1][:300]}")
        return json.loads(answer)


def unused(tree: Path, touched: frozenset[str]) -> dict[str, int]:
    """Files of a tree that a run did not touch, with their sizes in bytes, largest first; bytecode counts as source."""
    sizes: dict[str, int] = {}
    for path in tree.rglob("*"):
        if path.is_file():
            name = _BYTECODE.sub(r"\1.py", path.relative_to(tree).as_posix())
            sizes[name] = sizes.get(name, 0) + path.stat().st_size
    found = {name: size for name, size in sizes.items() if name not in touched}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
