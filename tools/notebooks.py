"""Run the notebooks headless and strictly, each in a process of its own.

    python tools/notebooks.py [--scale quick|paper] [--only NN ...] [-p NAME VALUE ...] [--commit]

`make figures`, `make paper` and `make notebooks` call this file; maintainers open it. It starts
papermill and reads what papermill and growkit report. Of the project it imports
`growkit.parameters`, and `tools/data.py` only for a full run at the published scale.

A run fails, with a sentence that names the notebook, on an unknown parameter, an error (also one
that a widget swallowed), a warning, or a figure that a cell promises to save and that was not
written. Figures and executed notebooks are written to a temporary folder and are moved to their
places only if the run succeeded. With `--commit`, the executed notebooks are also normalised and
replace those in `notebooks/`.
"""

from __future__ import annotations

import argparse
import ast
import base64
import codecs
import contextlib
import importlib.util
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import psutil
from PIL import Image
from tqdm.utils import disp_len, disp_trim

import growkit.parameters

ROOT = Path(__file__).resolve().parent.parent

NOTEBOOKS_AT_ONCE = 2
ATTEMPTS = 3

# A notebook that shows no progress is ended and started again: after the shorter time if its kernel
# computes nothing meanwhile, which means that a reply was lost, and after the longer time if it
# does compute.
IDLE_SECONDS = 75
BUSY_SECONDS = 1200
# Of the time on one processor; a kernel that takes more is computing. On a crowded machine one gets
# little, and an idle one takes a hundred times less than this.
BUSY_SHARE = 0.01

LOOK_SECONDS = 0.5  # between two looks at how far the notebooks are
LOG_SECONDS = 15  # at least, between two lines about progress where the output is no terminal


STOPPED = {
    "quick": "stopped; the figures of the notebooks that were done stay",
    "paper": "stopped; what was finished stays, and the same command goes on from there",
}


class Failed(Exception):
    """The reason, in one sentence, why a run does not count."""


# ---------------------------------------------------------------------- a notebook's process

# Papermill, which a thread ends as soon as its input closes. The driver holds the other end of that
# pipe, so no notebook outlives its driver, even one that was killed.
PAPERMILL = """import os, threading
threading.Thread(target=lambda: (os.read(0, 1), os.kill(os.getpid(), 15)), daemon=True).start()
from papermill.__main__ import papermill
papermill()"""

# A progress bar as `growkit.studies` writes it, such as "figure-3 40 %, 00:12 left", and nothing
# less.
BAR_STATE = re.compile(r"[^\x00-\x1f\x7f]* \d+ %, \S+ left")
TAIL_BYTES = 4096  # far more than the last two states of a bar


@dataclass
class Job:
    """One notebook, its process, and how far it is.

    Attributes
    ----------
    source : Path
        The notebook to run. It is replaced only by `finish`.
    folder : Path
        Temporary folder for the executed notebook and its figures.
    began : float
        When the run began, by `time.monotonic`.
    cell : str
        The cell that is running, such as "3 of 25".
    process : subprocess.Popen or None
        The papermill process of the latest attempt.
    stalled : int
        Seconds without progress after which the latest attempt was ended; 0 if it was not.
    stopped : bool
        Whether the user stopped the driver.
    attempts : int
        How many attempts were given up before this one.
    """

    source: Path
    folder: Path
    began: float = field(default_factory=time.monotonic)
    cell: str = "starting"
    process: subprocess.Popen | None = None
    stalled: int = 0
    stopped: bool = False
    attempts: int = 0

    @property
    def executed(self) -> Path:
        """The notebook with its outputs, which papermill writes."""
        return self.folder / self.source.name

    @property
    def progress_file(self) -> Path:
        """The file to which growkit writes how far training is."""
        return self.folder / "progress.txt"

    def start(self, parameters: dict, threads: int) -> None:
        """Start papermill on the notebook."""
        # A bar that an earlier attempt left behind says nothing about this one.
        self.progress_file.unlink(missing_ok=True)
        command = [sys.executable, "-c", PAPERMILL, str(self.source), str(self.executed)]
        command += ["-k", "python3", "--cwd", str(self.source.parent), "--progress-bar"]
        for name, value in parameters.items():
            command += ["-p", name, str(value)]
        environment = os.environ | {
            "GROWLIB_PROGRESS": str(self.progress_file),
            "OMP_NUM_THREADS": str(threads),
            "TMPDIR": str(self.folder),  # so that what a kernel leaves behind goes with it
        }
        # matplotlib warns if it cannot write below the home; `main` speaks of a missing numba.
        environment.setdefault("MPLCONFIGDIR", str(ROOT / ".cache" / "matplotlib"))
        ignored = [environment.get("PYTHONWARNINGS"), "ignore:numba cannot be imported"]
        environment["PYTHONWARNINGS"] = ",".join(filter(None, ignored))
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        # The driver may have been stopped before there was a process to end.
        if self.stopped:
            self.end_process()

    def end_process(self) -> None:
        """End papermill and its kernel, which form one process group."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)

    def stop(self) -> None:
        """End the notebook because the user asked for it."""
        self.stopped = True
        self.end_process()

    def processor_seconds(self) -> float:
        """Return the processor time that the kernel and its worker processes have taken."""
        seconds = 0.0
        try:
            for process in psutil.Process(self.process.pid).children(recursive=True):
                times = process.cpu_times()
                seconds += times.user + times.system
        except psutil.Error:
            # A process ended while it was being looked at; the next look counts again.
            return 0.0
        return seconds

    def progress(self) -> tuple:
        """Return a value that changes whenever a cell begins or training reports anything."""
        try:
            written = self.progress_file.stat()
        except FileNotFoundError:
            return (self.cell,)
        return (self.cell, written.st_size, written.st_mtime_ns)

    def training(self) -> str:
        """Return the state of the training bar, such as "figure-3 40 %, 00:12 left", or ""."""
        try:
            with self.progress_file.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - TAIL_BYTES))
                tail = file.read()
        except FileNotFoundError:
            return ""
        # Decoded from bytes, because text mode would turn every \r into \n. The first or the last
        # character of the tail may be incomplete.
        return last_state(tail.decode(errors="replace"))

    def state(self) -> str:
        """Return how far the notebook is, in one short line."""
        seconds = time.monotonic() - self.began
        text = f"{self.source.stem}: cell {self.cell}, {seconds:.0f} s"
        training = self.training()
        if training:
            text += f" ({training})"
        if self.attempts:
            text += f", attempt {self.attempts + 1}, since its kernel was silent"
        return text


def last_state(written: str) -> str:
    """Return the last complete state of a progress bar, or "" before it begins and after it ends.

    Each state begins with \\r and is padded with blanks to cover the one before it. A bar that ends
    covers itself with blanks and writes \\r once more.
    """
    *earlier, last = re.split(r"[\r\n]", written)
    last = last.strip()
    if BAR_STATE.fullmatch(last):
        return last

    # What follows the last \r is empty or still being written, so the state before it is the
    # present one.
    if earlier and BAR_STATE.fullmatch(earlier[-1].strip()):
        return earlier[-1].strip()
    return ""


# ---------------------------------------------------------------------- running one notebook


def one(job: Job, parameters: dict, scale: str, commit: bool, threads: int) -> str:
    """Run one notebook and put its results in their places.

    Parameters
    ----------
    job : Job
        The notebook; its folder exists.
    parameters : dict
        Values for the notebook's parameters cell, by name.
    scale : {"quick", "paper"}
        The scale, which also decides where figures go.
    commit : bool
        Whether the normalised notebook replaces its source.
    threads : int
        Threads that the notebook's numerical libraries may use.

    Returns
    -------
    str
        The line to print: how long it took and which figures it wrote.

    Raises
    ------
    Failed
        The run does not count, or its results cannot be written.
    """
    changed = parameters
    parameters = {"scale": scale, "folder": str(job.folder), **changed}
    check_parameters(job.source, parameters)

    job.began = time.monotonic()
    book = run(job, parameters, threads)
    try:
        names = finish(job, book, result_folders(scale, changed), commit)
    except OSError as error:
        reason = f"{error.filename} cannot be written ({error.strerror})"
        raise Failed(f"{job.source.stem}: {reason}") from None

    seconds = time.monotonic() - job.began
    written = ", ".join(names) or "no figures"
    return f"{job.source.stem}: done in {seconds:.0f} s, {written}"


def check_parameters(source: Path, parameters: dict) -> None:
    """Check the parameters of a notebook before a kernel starts.

    This does what the notebook's own cell does that checks them, the one after its parameters,
    without running any code of it.

    Parameters
    ----------
    source : Path
        The notebook.
    parameters : dict
        Values that replace those of the parameters cell, by name, as on papermill's command line.

    Raises
    ------
    Failed
        The file is not a notebook, its parameters cell lacks a name or is wrong, or the notebook
        does not take a value.
    """
    stated, check = parameter_cells(source)
    try:
        values = assigned(stated)
    except (SyntaxError, ValueError) as error:  # somebody may have edited the cell by hand
        raise Failed(f"{source.stem}: its parameters cell fails: {error}") from None
    for name, text in parameters.items():
        if name not in values:
            raise Failed(f"{source.stem} has no parameter {name!r}; it takes {', '.join(values)}")
        values[name] = parsed_value(text)
    try:
        growkit.parameters.check(**arguments_of_call(check, values))
    except ValueError as error:
        raise Failed(f"{source.stem}: {error}") from None


def assigned(text: str) -> dict:
    """Return the values that a parameters cell assigns to names; they are literals."""
    values = {}
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.Assign):
            raise ValueError(f"line {statement.lineno} assigns nothing")
        values[statement.targets[0].id] = ast.literal_eval(statement.value)
    return values


def arguments_of_call(text: str, values: dict) -> dict:
    """Return the arguments of the one call in a cell, in which names stand for these values."""
    if not text:
        return {}

    def meant(node):
        if isinstance(node, ast.Name):
            return values[node.id]
        if isinstance(node, ast.Dict):
            return {
                meant(key): meant(value) for key, value in zip(node.keys, node.values, strict=True)
            }
        return ast.literal_eval(node)

    call = ast.parse(text, mode="eval").body
    return {each.arg: meant(each.value) for each in call.keywords}


def parameter_cells(source: Path) -> tuple[str, str]:
    """Return the texts of a notebook's parameters cell and of the cell that checks them, if any."""
    try:
        cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
        texts = {}
        for cell in cells:
            for tag in cell["metadata"].get("tags", []):
                texts.setdefault(tag, "".join(cell["source"]))
        return texts["parameters"], texts.get("check-parameters", "")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise Failed(
            f"{source.stem} cannot be read as a notebook with parameters: {reason}"
        ) from None


def parsed_value(text: str) -> int | float | str:
    """Return a number if the text is one, as papermill does; otherwise the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def run(job: Job, parameters: dict, threads: int) -> dict:
    """Execute a notebook in a process of its own.

    Parameters
    ----------
    job : Job
        The notebook; its folder exists.
    parameters : dict
        Values for the notebook's parameters cell, by name.
    threads : int
        Threads that the notebook's numerical libraries may use.

    Returns
    -------
    dict
        The executed notebook, as nbformat's JSON.

    Raises
    ------
    Failed
        The notebook stalled in every attempt, holds a problem, or could not be executed.
    """
    for _ in range(ATTEMPTS):
        job.start(parameters, threads)
        said = follow(job)
        # Another attempt helps if a reply of the kernel was lost, or if two kernels chose the same
        # port.
        again = job.stalled or "Address already in use" in said
        if job.stopped or not again:
            break
        job.attempts += 1
    return checked_book(job, said)


def follow(job: Job) -> str:
    """Read papermill's output until it ends, and end the notebook if it stalls.

    Parameters
    ----------
    job : Job
        A notebook whose process has been started. Its `cell` follows papermill's progress bar;
        `stalled` is set if the notebook was ended.

    Returns
    -------
    str
        What papermill wrote to its standard error beside the progress bar.
    """
    stream = job.process.stderr
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    clock = StallClock(job)
    job.stalled = 0
    said = ""
    unfinished = ""
    while True:
        if select.select([stream], [], [], 2)[0]:
            chunk = os.read(stream.fileno(), 4096)
            if not chunk:
                break
            *lines, unfinished = re.split(r"[\r\n]", unfinished + decoder.decode(chunk))
            for line in lines:
                said += read_line(job, line)

        too_long = clock.too_long()
        if too_long and not job.stalled:
            job.stalled = too_long
            job.end_process()

    stream.close()
    job.process.wait()
    job.process.stdin.close()
    return said + unfinished


def read_line(job: Job, line: str) -> str:
    """Take the cell's number from papermill's progress bar; return any other line as it is."""
    progress = re.search(r"Executing:.*?(\d+)/(\d+)", line)
    if not progress:
        return line + "\n"
    job.cell = f"{progress[1]} of {progress[2]}"
    return ""


class StallClock:
    """Measures how long a notebook has made no progress."""

    def __init__(self, job: Job):
        self.job = job
        self.seen = ()  # the job's progress when it last changed
        self.since = time.monotonic()
        self.processor_seconds = 0.0  # that were taken by then

    def too_long(self) -> int:
        """Return the seconds without progress if there are too many of them, otherwise 0."""
        processor_seconds = self.job.processor_seconds()
        progress = self.job.progress()
        if progress != self.seen:
            self.seen = progress
            self.since = time.monotonic()
            self.processor_seconds = processor_seconds

        waited = time.monotonic() - self.since
        limit = IDLE_SECONDS
        if processor_seconds - self.processor_seconds > BUSY_SHARE * waited:
            limit = BUSY_SECONDS
        return round(waited) if waited > limit else 0


def checked_book(job: Job, said: str) -> dict:
    """Return the notebook that papermill executed, or fail with the first problem that it has."""
    name = job.source.stem
    if job.stalled:
        stalled = f"no progress for {job.stalled} s, three times over"
        raise Failed(f"{name}: cell {job.cell} made {stalled}")

    book = {"cells": []}
    if job.executed.exists():
        with contextlib.suppress(ValueError):  # it was cut off, since the disk is full
            book = json.loads(job.executed.read_text())
    for problem in problems(book):
        raise Failed(f"{name}: {problem}")

    if job.process.returncode:
        last_line = "papermill failed"
        if said.strip():
            last_line = said.strip().splitlines()[-1]
        raise Failed(f"{name}: {last_line}")
    return book


# ---------------------------------------------------------------------- an executed notebook

# Figures are named after their notebook's number; the name of an animation ends with .gif.
PROMISE = re.compile(r"\"(\d\d_\w+(?:\.gif)?)\"")
PAPERMILL_TAGS = {"injected-parameters", "papermill-error-cell-tag"}


def problems(book: dict) -> Iterator[str]:
    """Yield what makes an executed notebook bad: errors, also those in widgets, and warnings.

    Parameters
    ----------
    book : dict
        The executed notebook, as nbformat's JSON.

    Yields
    ------
    str
        A problem, such as "cell [2] raised ZeroDivisionError: division by zero".
    """
    for number, cell in enumerate(own_code(book), 1):
        for output in cell.get("outputs", []):
            for problem in output_problems(output):
                yield f"cell [{number}] {problem}"

    metadata = book.get("metadata", {}).get("widgets", {})
    widgets = metadata.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    for widget in widgets.values():
        for output in widget.get("state", {}).get("outputs", ()):
            for problem in output_problems(output):
                yield f"a widget {problem}"


def own_code(book: dict) -> list[dict]:
    """Return the code cells except papermill's own; the n-th of them is the notebook's cell [n]."""
    cells = []
    for cell in book["cells"]:
        tags = set(cell["metadata"].get("tags", []))
        if cell["cell_type"] == "code" and not PAPERMILL_TAGS & tags:
            cells.append(cell)
    return cells


def output_problems(output: dict) -> Iterator[str]:
    """Yield what is wrong with one output."""
    text = "".join(output.get("text", []))
    if output["output_type"] == "error":
        yield f"raised {output['ename']}: {output['evalue']}"
    elif output.get("name") == "stderr":
        yield f"warned: {text.strip()[:300]}"
    elif text.startswith("growlib: "):
        # A widget prints the sentence of a ValueError instead of raising it.
        yield f"refused its own values: {text.removeprefix('growlib: ').strip()}"


def promised(book: dict) -> list[str]:
    """Return the names of the figures that the notebook's code cells mention."""
    names = []
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            names += PROMISE.findall("".join(cell["source"]))
    return names


def files(name: str) -> list[str]:
    """Return the files of a promised figure: PNG and SVG, or only the GIF of an animation."""
    if name.endswith(".gif"):
        return [name]
    return [f"{name}.png", f"{name}.svg"]


# ---------------------------------------------------------------------- putting results in place


def finish(job: Job, book: dict, folders: tuple[Path, Path], commit: bool) -> list[str]:
    """Check that the promised figures were written, then move everything to its place.

    Parameters
    ----------
    job : Job
        A notebook that was run.
    book : dict
        The executed notebook, as nbformat's JSON.
    folders : tuple of Path
        Where the figures go, and where the executed notebook goes.
    commit : bool
        Whether the normalised notebook replaces its source.

    Returns
    -------
    list of str
        The names of the figures.

    Raises
    ------
    Failed
        A promised figure was not written, or an output holds a path of this machine. Nothing has
        been moved then.
    OSError
        A place cannot be written to.
    """
    names = promised(book)
    figure_files = [file for name in names for file in files(name)]
    check_written(job, figure_files)

    to_commit = job.folder / "normalised.ipynb"
    if commit:
        to_commit.write_text(normalised(book))

    figures, executed = folders
    for file in figure_files:
        move(job.folder / file, figures / file)
    move(job.executed, executed / job.source.name)
    if commit:
        move(to_commit, job.source)
    return names


def check_written(job: Job, figure_files: list[str]) -> None:
    """Fail if the notebook did not write one of these files."""
    for file in figure_files:
        if not (job.folder / file).exists():
            raise Failed(f"{job.source.stem}: promised the figure {file} and did not write it")


def result_folders(scale: str, changed: dict) -> tuple[Path, Path]:
    """Make and return the folders for the figures and for the executed notebooks.

    What was computed with changed parameters stays in the cache.
    """
    figures = ROOT / "figures"
    executed = ROOT / ".cache" / "executed"
    if changed:
        values = [f"{name}={value}".replace("/", "_") for name, value in changed.items()]
        figures = executed = executed / " ".join([scale, *values])
    elif scale == "quick":
        figures /= "quick"
        executed /= "quick"
    else:
        executed /= "paper"
    for folder in (figures, executed):
        folder.mkdir(parents=True, exist_ok=True)
    return figures, executed


def move(source: Path, target: Path) -> None:
    """Put a file in its place as a whole, also from another file system."""
    aside = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, aside)
    os.replace(aside, target)


MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|work|Users|usr|opt)/[\w.\-]+")

# Outputs that only a live run has a use for: a control, what it does in the browser, and an
# animation, which is a file of its own.
LIVE_OUTPUTS = {
    "application/vnd.jupyter.widget-view+json",
    "application/javascript",
    "image/gif",
}
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


def normalised(book: dict) -> str:
    """Return an executed notebook as a text that is the same whenever its results are the same.

    Timings, random ids, widget states and the cell that papermill injected are left out, and cells
    are counted anew.

    Parameters
    ----------
    book : dict
        The executed notebook, as nbformat's JSON.

    Returns
    -------
    str
        The notebook as JSON, with a newline at its end.

    Raises
    ------
    Failed
        An output holds a path of this machine.
    """
    cells = []
    code_cells = 0
    for cell in book["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", []):
            continue
        if cell["cell_type"] == "code":
            code_cells += 1
            cell = normalised_code(cell, code_cells)
        cells.append(cell | {"id": f"cell-{len(cells):02d}", "metadata": only_tags(cell)})

    notebook = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"

    # An encoded picture may look like a path by chance.
    without_pictures = re.sub(r'"image/png": "[^"]*"', "", text)
    found = MACHINE_PATH.search(without_pictures)
    if found:
        raise Failed(f"an output holds the machine's path {found[0]}")
    return text


def only_tags(cell: dict) -> dict:
    """Return the part of a cell's metadata that is kept: its tags, if it has any."""
    tags = cell["metadata"].get("tags")
    return {"tags": tags} if tags else {}


def normalised_code(cell: dict, count: int) -> dict:
    """Return a code cell, numbered anew, with those outputs that are of use without a kernel."""
    outputs = []
    for output in cell["outputs"]:
        if not LIVE_OUTPUTS & output.get("data", {}).keys():
            outputs.append(normalised_output(output, count))
    return cell | {"execution_count": count, "outputs": outputs}


def normalised_output(output: dict, count: int) -> dict:
    """Return an output without what differs between two runs, and with a smaller picture."""
    output = dict(output)
    if "execution_count" in output:
        output["execution_count"] = count
    if "metadata" in output:
        output["metadata"] = {}
    if "image/png" in output.get("data", {}):
        picture = fewer_colours(output["data"]["image/png"])
        output["data"] = output["data"] | {"image/png": picture}
    return output


def fewer_colours(png: str) -> str:
    """Return a picture, encoded in base 64, with 256 colours, which takes half of the bytes."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    # Pillow's default takes the most frequent colours, and that changes those of thin lines.
    small = io.BytesIO()
    few = picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3)
    few.save(small, "png", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


# ---------------------------------------------------------------------- what is printed

CLEAR_LINE = "\r\033[K"
BETWEEN = " | "


class Display:
    """Prints what happened, a line each, and below those lines how far the notebooks are.

    On a terminal the progress is a single line that is rewritten in place and never wraps.
    Elsewhere, such as in a log, the progress is a line at most every LOG_SECONDS.

    Parameters
    ----------
    stream : file
        Where to print. Only one thread may print.
    clock : callable
        Returns the present time in seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic):
        self.stream = stream
        self.clock = clock
        self.terminal = stream.isatty()
        self.logged = clock()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.clear()
        print(text, file=self.stream, flush=True)

    def show(self, states: list[str]) -> None:
        """Print how far the running notebooks are, a state each."""
        if self.terminal:
            self.print_in_place(fitted(states, self.columns()))
        elif states and self.clock() - self.logged >= LOG_SECONDS:
            self.logged = self.clock()
            self.say(BETWEEN.join(states))

    def clear(self) -> None:
        """Remove the progress from a terminal."""
        if self.terminal:
            self.print_in_place("")

    def print_in_place(self, text: str) -> None:
        """Replace the terminal's line that the cursor is in."""
        print(CLEAR_LINE + text, end="", file=self.stream, flush=True)

    def columns(self) -> int:
        """Return how many columns the progress may take."""
        # A terminal may not know its width and say 0.
        width = os.get_terminal_size(self.stream.fileno()).columns or 80
        # Some terminals wrap as soon as the last column is filled.
        return width - 1


def fitted(states: list[str], columns: int) -> str:
    """Return the states in one line; if they exceed the columns, each is cut to an equal share."""
    line = BETWEEN.join(states)
    if disp_len(line) <= columns:
        return line
    share = (columns - len(BETWEEN) * (len(states) - 1)) // len(states)
    line = BETWEEN.join(disp_trim(state, max(share, 1)) for state in states)
    return disp_trim(line, columns)


def watch(jobs: list[Job], futures: list[Future], display: Display) -> None:
    """Print how far the notebooks are until all of them are done, and how each one ended.

    Parameters
    ----------
    jobs : list of Job
        The notebooks.
    futures : list of Future
        The result of `one` for each of them.
    display : Display
        Where to print.
    """
    pending = dict(zip(futures, jobs, strict=True))
    while pending:
        wait(pending, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
        for future in [future for future in pending if future.done()]:
            del pending[future]
            display.say(str(future.exception() or future.result()))
        display.show([job.state() for future, job in pending.items() if future.running()])


# ---------------------------------------------------------------------- the command


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks that the command line chooses.

    Parameters
    ----------
    arguments : list of str, optional
        The command line, by default that of this process.

    Returns
    -------
    int
        The exit status: 0 if every notebook succeeded, 1 if one failed, 2 if the choice of
        notebooks is wrong, and 130 if the user stopped the run.
    """
    chosen = parsed(arguments)
    display = Display(sys.stdout)
    try:
        sources = selected(chosen.only)
    except Failed as refusal:
        display.say(str(refusal))
        return 2

    try:
        # Said before hours of training, not after them.
        result_folders(chosen.scale, chosen.parameters)
        temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    except OSError as error:
        where = error.filename or "the folder for temporary files"
        display.say(f"{where} cannot be written ({error.strerror})")
        return 1
    if importlib.util.find_spec("numba") is None:
        display.say("numba is not installed, so networks train by autograd, many times slower")

    with (
        contextlib.ExitStack() as afterwards,
        temporary,
        ThreadPoolExecutor(NOTEBOOKS_AT_ONCE) as pool,
    ):
        jobs = [Job(source, Path(temporary.name) / source.stem) for source in sources]
        try:
            if chosen.scale == "paper" and not chosen.only:
                complete_data()
            futures = submitted(pool, jobs, chosen)
            watch(jobs, futures, display)
        except (RuntimeError, ValueError, OSError) as error:
            # Sentences of growlib and growkit, such as that results cannot be stored.
            display.say(str(error))
            return 1
        except KeyboardInterrupt:
            # A second Ctrl-C changes nothing, since the notebooks are being ended already.
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            afterwards.callback(signal.signal, signal.SIGINT, before)
            pool.shutdown(wait=False, cancel_futures=True)
            for job in jobs:
                job.stop()
            display.say(STOPPED[chosen.scale])
            return 130
    return exit_status(futures)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """Return the checked command line: scale, only, parameters (a dict) and commit."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--scale", choices=("quick", "paper"), default="quick")
    parser.add_argument(
        "--only",
        nargs="*",
        default=[],
        help="numbers or names, such as 02 (default: every notebook)",
    )
    parser.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        dest="parameters",
        metavar=("NAME", "VALUE"),
        help="a parameter of the notebooks; the figures then go to .cache/executed",
    )
    parser.add_argument(
        "--commit", action="store_true", help="put the normalised notebooks into notebooks/"
    )
    chosen = parser.parse_args(arguments)

    chosen.parameters = dict(chosen.parameters)
    for name in {"scale", "folder"} & chosen.parameters.keys():
        parser.error(
            f"-p {name} is {chosen.parameters[name]}; it takes another parameter, "
            "since --scale says the scale and with it the folder"
        )
    if chosen.commit and chosen.parameters:
        parser.error("--commit takes the parameters as they stand in the notebooks, so no -p")
    return chosen


def selected(only: list[str]) -> list[Path]:
    """Return the notebooks that `only` names, or all; fail if one of its names fits no notebook."""
    every = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    beginnings = [name.zfill(2) for name in only]
    unmatched = []
    for beginning in beginnings:
        if not any(path.stem.startswith(beginning) for path in every):
            unmatched.append(beginning)

    if unmatched or not every:
        takes = ", ".join(path.stem for path in every)
        raise Failed(f"NB is {' '.join(beginnings)!r}; it takes one of {takes}")
    if not only:
        return every
    return [path for path in every if path.stem.startswith(tuple(beginnings))]


def complete_data() -> None:
    """Compute the studies and tables that `data/` lacks."""
    # Imported here, because only a full run at the published scale needs it.
    sys.path.insert(0, str(ROOT / "tools"))
    import data

    data.compute_studies()
    data.compute_tables([])


def submitted(pool: ThreadPoolExecutor, jobs: list[Job], chosen: argparse.Namespace) -> list:
    """Return a future of every notebook's run."""
    # Two notebooks that run side by side share the cores; one alone has all of them.
    threads = 1 if len(jobs) > 1 else os.cpu_count() or 1
    futures = []
    for job in jobs:
        job.folder.mkdir()
        future = pool.submit(one, job, chosen.parameters, chosen.scale, chosen.commit, threads)
        futures.append(future)
    return futures


def exit_status(futures: list[Future]) -> int:
    """Return 1 if a notebook failed, otherwise 0; raise an error that is a fault of the driver."""
    status = 0
    for future in futures:
        error = future.exception()
        if error and not isinstance(error, Failed):
            raise error
        if error:
            status = 1
    return status


if __name__ == "__main__":
    # A batch system, or a terminal that is closed, stops the driver as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
