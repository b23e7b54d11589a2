"""Starts stages without the seconds that Python and NumPy take: imports everything once, then forks for each command.

python tools/stage_server.py FOLDER runs all stages in FOLDER first, which holds a params.yaml: what Python, NumPy and
matplotlib load when they are first used is loaded then, and the pictures are drawn, for which matplotlib reads its
fonts some 20,000 times and which are kept for runs with the same results.

A command is a line of JSON: stage, folder, file for its errors. The child stops itself before the stage begins, so that
strace can attach and count from there; the answers are its process id and, when it has ended, its status as wait
knows it.
"""

import contextlib
import functools
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

import naive_download
import tqdm
import typer

from pipeline.report import results

STAGES = {
    stage: functools.partial(typer.run, importlib.import_module(f"pipeline.{stage}").main)
    for stage in ("download", "convert", "train", "evaluate")
}


def keep_pictures() -> None:
    """Draw the pictures of each net only once; nets with the same loss are the same net."""
    draw, drawn = results.results, {}

    @functools.wraps(draw)
    def remembered(answers, loss, *others):
        if loss not in drawn:
            drawn[loss] = draw(answers, loss, *others)
        return drawn[loss]

    results.results = remembered


def warm_up(folder: str) -> None:
    os.chdir(folder)
    for stage in STAGES.values():
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):
            stage()


def become(folder: str, errors: str) -> None:
    """Behave like a process that was started in `folder` only for this."""
    tqdm.tqdm.set_lock(threading.RLock())  # its own is shared, and a killed one would keep it
    os.setsid()
    os.chdir(folder)
    nothing, written = os.open(os.devnull, os.O_RDWR), os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor, source in enumerate((nothing, nothing, written)):
        os.dup2(source, descriptor)
    os.kill(os.getpid(), signal.SIGSTOP)


def leave(command: Callable[[], object]) -> NoReturn:
    """End as Python does, but leave the imported modules as they are: to delete them takes most of the time."""
    code: object = 0
    try:
        command()
    except SystemExit as stopped:
        code = stopped.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    try:
        sys.stdout.flush()
    except OSError:
        code = 120
    os._exit(code)


if __name__ == "__main__":
    sys.modules["pipeline.train"].CHECKPOINT_SECONDS = 0  # one after every block, to be killed at
    tqdm.tqdm.monitor_interval = 0  # its thread may hold a lock when we fork, which no child would ever get
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by jobs in the background
    keep_pictures()
    warm_up(sys.argv.pop())
    STAGES["naive"] = naive_download.app
    for line in sys.stdin:
        stage, folder, errors = json.loads(line)
        child = os.fork()
        if not child:
            break
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)
    else:
        sys.exit()
    become(folder, errors)
    leave(STAGES[stage])
