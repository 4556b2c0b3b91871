"""Run the notebooks headless, strictly, each in a process of its own.

    python tools/notebooks.py [--scale quick|paper] [--only NN ...] [-p NAME VALUE ...] [--commit]

A run fails, with a sentence that names the notebook, on an unknown parameter, an error (also one swallowed by a
widget), a warning, or a figure that a cell promises to save and that was not written. Figures and notebooks
are written aside and take their place only when the run was good. --commit normalises the executed notebooks
and puts them into notebooks/.
"""

from __future__ import annotations

import argparse
import base64
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PROMISE = re.compile(
    r"\"(\d\d_\w+(?:\.gif)?)\""
)  # figures are named after their notebook's number; an animation says that it is one
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|work|Users|usr|opt)/[\w.\-]+")
TEXTS, FROM_ZERO = (
    {"scale", "folder"},
    {"seed", "trial"},
)  # the parameters that are no counts, which begin at 1
PAPERMILL = """import os, threading
threading.Thread(target=lambda: (os.read(0, 1), os.kill(os.getpid(), 15)), daemon=True).start()  # its input ends with the driver
from papermill.__main__ import papermill
papermill()"""
IDLE_SECONDS, BUSY_SECONDS = (
    75,
    1200,
)  # without a new cell or training progress, while nothing or something is computed; then it is started again


class Failed(Exception):
    """A run that must not count, in one sentence."""


@dataclass
class Job:
    """One notebook on its way."""

    source: Path
    folder: Path
    began: float = field(default_factory=time.monotonic)
    cell: str = "starting"
    process: subprocess.Popen | None = None
    stalled: int = 0  # seconds without progress, after which it was ended
    stopped: bool = False  # by Ctrl-C or the like

    @property
    def executed(self) -> Path:
        return self.folder / self.source.name

    @property
    def told(self) -> Path:
        """Where growlib writes how far training is."""
        return self.folder / "progress.txt"

    def training(self) -> str:
        """How far it is, the last of the lines told."""
        return self.told.read_text().strip().split("\r")[-1] if self.told.exists() else ""

    def line(self) -> str:
        training = self.training()
        return f"{self.source.stem}: cell {self.cell}, {time.monotonic() - self.began:.0f} s" + (
            f" ({training})" if training else ""
        )


def check_parameters(source: Path, parameters: dict) -> None:
    """Fail, before a kernel starts, on a name that the notebook's parameters cell does not hold, or a number that is none, given or in the cell."""
    from papermill import inspect_notebook

    try:
        known = inspect_notebook(str(source))
    except (ValueError, OSError) as error:
        raise Failed(f"{source.stem} cannot be read as a notebook: {error}") from None
    for name in parameters:
        if name not in known:
            raise Failed(f"{source.stem} has no parameter {name!r}; it takes {', '.join(known)}")
    for name in known.keys() - TEXTS:
        value, first = (
            str(parameters.get(name, known[name]["default"])),
            0 if name in FROM_ZERO else 1,
        )
        last = re.search(r"0 \.\.\. (\d+)", known[name]["help"])
        if (
            not re.fullmatch(r"\d[\d_]*", value)
            or int(value) < first
            or (last and int(value) > int(last[1]))
        ):
            takes = (
                f"a whole number of {last[0]}" if last else f"a whole number of at least {first}"
            )
            raise Failed(f"{source.stem}: {name} is {value}; it takes {takes}")


def run(job: Job, parameters: dict, threads: int) -> dict:
    """Execute the notebook in its own process and return it as JSON, or fail with a sentence."""
    command = [
        sys.executable,
        "-c",
        PAPERMILL,
        str(job.source),
        str(job.executed),
        "-k",
        "python3",
        "--cwd",
        str(job.source.parent),
        "--progress-bar",
    ]
    for name, value in parameters.items():
        command += ["-p", name, str(value)]
    environment = os.environ | {"GROWLIB_PROGRESS": str(job.told), "OMP_NUM_THREADS": str(threads)}
    for attempt in (1, 2, 3):
        job.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        if job.stopped:  # before there was a process to end
            stop(job)
        said = follow(job)
        if attempt < 3 and ("Address already in use" in said or job.stalled):
            continue  # two kernels chose the same port, or a kernel's reply was lost
        break
    if job.stalled:
        raise Failed(
            f"{job.source.stem}: cell {job.cell} made no progress for {job.stalled} s, three times over"
        )
    book = json.loads(job.executed.read_text()) if job.executed.exists() else {"cells": []}
    for problem in problems(book):
        raise Failed(f"{job.source.stem}: {problem}")
    if job.process.returncode:
        raise Failed(
            f"{job.source.stem}: {said.strip().splitlines()[-1] if said.strip() else 'papermill failed'}"
        )
    return book


def follow(job: Job) -> str:
    """Read papermill's progress until it ends, or end it where it stalls, such as when a kernel's reply was lost; return what else it said."""
    said, buffer, stream = "", "", job.process.stderr
    job.stalled, last, worked, seen = 0, time.monotonic(), 0.0, ()
    while True:
        if select.select([stream], [], [], 2)[0]:
            chunk = os.read(stream.fileno(), 4096)
            if not chunk:
                break
            buffer += chunk.decode(errors="replace")
            *lines, buffer = re.split(r"[\r\n]", buffer)
            for text in lines:
                at = re.search(r"Executing:.*?(\d+)/(\d+)", text)
                if at:
                    job.cell = f"{at[1]} of {at[2]}"
                else:
                    said += text + "\n"
        now = (job.cell, job.training())
        if now != seen:
            seen, last, worked = now, time.monotonic(), computed(job)
        waited = time.monotonic() - last
        if not job.stalled and waited > (
            BUSY_SECONDS if computed(job) - worked > waited / 20 else IDLE_SECONDS
        ):
            job.stalled = round(waited)
            stop(job)
    stream.close()
    job.process.wait()
    job.process.stdin.close()
    return said + buffer


def computed(job: Job) -> float:
    """The processor's seconds that the notebook's kernel has taken."""
    with suppress(psutil.Error):
        return sum(
            sum(process.cpu_times()[:2])
            for process in psutil.Process(job.process.pid).children(recursive=True)
        )
    return 0.0


def stop(job: Job) -> None:
    """End the notebook's whole process group."""
    if job.process and job.process.poll() is None:
        os.killpg(job.process.pid, 15)


def problems(book: dict):
    """What makes an executed notebook bad: errors, also in widgets, and anything on stderr."""
    for number, cell in enumerate(own_code(book), 1):
        yield from (
            f"cell [{number}] {problem}"
            for output in cell.get("outputs", [])
            for problem in bad(output)
        )
    widgets = (
        book.get("metadata", {})
        .get("widgets", {})
        .get("application/vnd.jupyter.widget-state+json", {})
        .get("state", {})
    )
    for state in widgets.values():
        yield from (
            f"a widget {problem}"
            for output in state.get("state", {}).get("outputs", ())
            for problem in bad(output)
        )


def own_code(book: dict) -> list[dict]:
    """The code cells without papermill's own; cell [n] of the notebook is the n-th of them."""
    return [
        cell
        for cell in book["cells"]
        if cell["cell_type"] == "code"
        and not {"injected-parameters", "papermill-error-cell-tag"}
        & set(cell["metadata"].get("tags", []))
    ]


def bad(output: dict):
    """What is wrong with one output."""
    text = "".join(output.get("text", []))
    if output["output_type"] == "error":
        yield f"raised {output['ename']}: {output['evalue']}"
    elif output.get("name") == "stderr":
        yield f"warned: {text.strip()[:300]}"
    elif text.startswith("growlib: "):
        yield f"refused its own values: {text.removeprefix('growlib: ').strip()}"


def promised(book: dict) -> list[str]:
    """The names of the figures that the notebook's code cells mention."""
    return [
        name
        for cell in book["cells"]
        if cell["cell_type"] == "code"
        for name in PROMISE.findall("".join(cell["source"]))
    ]


def files(name: str) -> list[str]:
    """The files of a promised figure: PNG and SVG, or the GIF alone of an animation."""
    return [name] if name.endswith(".gif") else [f"{name}.png", f"{name}.svg"]


def normalised(book: dict) -> str:
    """The executed notebook as text that is the same for the same results: no timings, no ids by chance, no widget state."""
    cells = [
        cell
        for cell in book["cells"]
        if "injected-parameters" not in cell["metadata"].get("tags", [])
    ]
    count = 0
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:02d}"
        cell["metadata"] = {
            key: value for key, value in cell["metadata"].items() if key == "tags" and value
        }
        if cell["cell_type"] == "code":
            count += 1
            cell["execution_count"] = count
            cell["outputs"] = [tidy(o, count) for o in cell["outputs"] if not live(o)]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    text = (
        json.dumps(
            {
                "cells": cells,
                "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
                "nbformat": 4,
                "nbformat_minor": 5,
            },
            indent=1,
            ensure_ascii=False,
            sort_keys=True,
        )
        + "\n"
    )
    found = MACHINE_PATH.search(re.sub(r'"image/png": "[^"]*"', "", text))
    if found:
        raise Failed(f"an output holds the machine's path {found[0]}")
    return text


def live(output: dict) -> bool:
    """Whether an output is of use in a run alone: a control, what it does in the browser, an animation, which is a file of its own."""
    return bool(
        output.get("data", {}).keys()
        & {"application/vnd.jupyter.widget-view+json", "application/javascript", "image/gif"}
    )


def tidy(output: dict, count: int) -> dict:
    """The output without what differs between two runs."""
    if "execution_count" in output:
        output["execution_count"] = count
    if "metadata" in output:
        output["metadata"] = {}
    if "image/png" in output.get("data", {}):  # to 64 colours, a third of the bytes
        drawn = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))
        drawn.convert("RGB").quantize(64).save(small := io.BytesIO(), "png", optimize=True)
        output["data"]["image/png"] = base64.b64encode(small.getvalue()).decode()
    return output


def finish(job: Job, book: dict, scale: str, commit: bool) -> list[str]:
    """Check the promised figures, then move everything to its place; return the figures' names."""
    names = promised(book)
    for file in (file for name in names for file in files(name)):
        if not (job.folder / file).exists():
            raise Failed(f"{job.source.stem}: promised the figure {file} and did not write it")
    text = normalised(book) if commit else None
    target = ROOT / "figures" / ("quick" if scale == "quick" else "")
    kept = ROOT / ".cache" / "executed" / scale
    for folder in (target, kept):
        folder.mkdir(parents=True, exist_ok=True)
    for file in (file for name in names for file in files(name)):
        move(job.folder / file, target / file)
    move(job.executed, kept / job.source.name)
    if text is not None:
        aside = job.folder / "normalised.ipynb"
        aside.write_text(text)
        move(aside, job.source)
    return names


def move(source: Path, target: Path) -> None:
    """Put a file in place whole, also from another file system."""
    aside = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, aside)
    os.replace(aside, target)


def one(job: Job, parameters: dict, scale: str, commit: bool, threads: int) -> str:
    """Run one notebook from start to place; return the line that says how it went."""
    given = {"scale": scale, "folder": str(job.folder), **parameters}
    check_parameters(job.source, given)
    job.began = time.monotonic()
    book = run(job, given, threads)
    try:
        names = finish(job, book, scale, commit)
    except OSError as error:
        raise Failed(
            f"{job.source.stem}: {error.filename} cannot be written ({error.strerror})"
        ) from None
    return f"{job.source.stem}: done in {time.monotonic() - job.began:.0f} s, {', '.join(names) or 'no figures'}"


def watch(jobs: list[Job], futures: list, say) -> None:
    """Tell what is running until all is done."""
    shown = time.monotonic()
    while not all(f.done() for f in futures):
        time.sleep(0.5)
        running = [job.line() for job, f in zip(jobs, futures, strict=True) if f.running()]
        if sys.stdout.isatty():
            print("\r\033[K" + " | ".join(running)[:160], end="", flush=True)
        elif time.monotonic() - shown > 15:
            shown = time.monotonic()
            say(" | ".join(running))


def compute_studies(say) -> None:
    """Compute what `data/` lacks of the published studies; say what was there already."""
    sys.path.insert(0, str(ROOT))
    from growkit import studies

    computed = 0
    for name in studies.STUDIES:
        known = studies.is_stored(name)
        computed += not known
        results = studies.results(name)
        say(f"{name}: {'already there, ' if known else ''}{results.origin}")
    if not computed:
        say("data/ holds every study: nothing to compute.")


def main(arguments: list[str] | None = None) -> int:
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
        metavar=("NAME", "VALUE"),
        help="a count or seed of the notebooks",
    )
    parser.add_argument(
        "--commit", action="store_true", help="put the normalised notebooks into notebooks/"
    )
    chosen = parser.parse_args(arguments)
    for name in TEXTS & dict(chosen.p).keys():
        parser.error(
            f"-p {name} is {dict(chosen.p)[name]}; it takes another parameter, since --scale says the scale and with it the folder"
        )
    chosen.only = [name.zfill(2) for name in chosen.only]
    every = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    sources = [
        path for path in every if not chosen.only or path.stem.startswith(tuple(chosen.only))
    ]

    def say(text):
        print(("\r\033[K" if sys.stdout.isatty() else "") + text, flush=True)

    unmatched = [
        name for name in chosen.only if not any(path.stem.startswith(name) for path in every)
    ]
    if unmatched or not sources:
        say(
            f"NB is {' '.join(chosen.only)!r}; it takes one of {', '.join(path.stem for path in every)}"
        )
        return 2
    failures = 0
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(2) as pool:
        jobs = [Job(source, Path(temporary) / source.stem) for source in sources]
        try:
            if chosen.scale == "paper" and not chosen.only:
                compute_studies(say)
            futures = []
            for job in jobs:
                job.folder.mkdir()
                threads = 1 if len(jobs) > 1 else os.cpu_count() or 1
                futures.append(
                    pool.submit(one, job, dict(chosen.p), chosen.scale, chosen.commit, threads)
                )
                futures[-1].add_done_callback(
                    lambda f, job=job: (
                        None
                        if f.cancelled() or job.stopped
                        else say(str(f.exception() or f.result()))
                    )
                )
            watch(jobs, futures, say)
        except (RuntimeError, ValueError, OSError) as error:  # growlib's sentences
            say(str(error))
            return 1
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for job in jobs:
                job.stopped = True
                stop(job)
            say("stopped; what was finished stays, and the same command goes on from there")
            return 130
        for future in futures:
            failures += future.exception() is not None
            if future.exception() and not isinstance(future.exception(), Failed):
                raise future.exception()
    return 1 if failures else 0


if __name__ == "__main__":
    for number in (
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # stopped by a batch system or with its terminal: as by Ctrl-C
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
