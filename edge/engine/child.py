"""TensorRT in a process of its own: it may crash or be killed and takes nothing else along."""

from __future__ import annotations

import multiprocessing
import signal
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, TypeVar

from edge.errors import BuildError, EdgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    Progress = Callable[[str, int, int], None]

Answer = TypeVar("Answer")


def run_in_child(
    function: Callable[..., Answer], *arguments: object, progress: Progress | None = None
) -> Answer:
    """Call a function in a child process and give what it gives.

    Args:
        function: of a module; it and its arguments, answer and errors are pickled.
        arguments: for the function.
        progress: called here with (what is done, steps done, steps in all) when the function calls
            its own argument `progress`, which it must then have.

    Raises:
        EdgeError: what the function raised.
        BuildError: the child died.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(
        target=_work, args=(theirs, function, arguments, progress is not None), daemon=True
    )
    try:
        with _ctrl_c_held_back():  # what is held back comes at its end
            child.start()
        theirs.close()
        while True:
            try:
                kind, said = ours.recv()
            except (EOFError, OSError):  # it died before it spoke, or in the middle of a word
                child.join()
                raise explain_death(child.exitcode) from None
            if kind == "answer":
                answer: Answer = said
                return answer
            if kind == "error":
                raise said
            if progress is not None:
                progress(*said)
    finally:
        if child.pid is not None:
            child.terminate()
            child.join()
        ours.close()


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Let what is started in here begin deaf to Ctrl-C, which would print its traceback."""
    resource_tracker.ensure_running()  # starting it sets the mask anew, up to Python 3.12
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(
    parent: Connection,
    function: Callable[..., object],
    arguments: tuple[object, ...],
    tells_progress: bool,  # noqa: FBT001 - multiprocessing passes by position
) -> None:
    """Be the child; what happens goes to the parent, who also ends it."""

    def say(kind: str, said: object) -> bool:
        """Tell the parent; False, which ends a build, when it is no longer there."""
        try:
            parent.send((kind, said))
        except BrokenPipeError:
            return False
        return True

    def tell(what: str, done: int, total: int) -> bool:
        return say("progress", (what, done, total))

    try:
        answer = function(*arguments, **({"progress": tell} if tells_progress else {}))
    except EdgeError as error:
        say("error", error)
    else:
        say("answer", answer)


def explain_death(exit_code: int | None) -> BuildError:
    """Say in plain words why a child ended without an answer; negative codes are signals."""
    if exit_code == -signal.SIGKILL:
        return BuildError(
            "TensorRT: the build was killed, most likely for want of memory",
            hint="Close other programs, add 4 GB of swap, or lower --workspace",
        )
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        return BuildError(f"TensorRT: crashed ({name})", hint="Check the GPU's driver")
    return BuildError(
        f"TensorRT: ended without an answer (exit code {exit_code})",
        hint="Run it again with --debug and report what it prints",
    )
