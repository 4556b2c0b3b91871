"""Grids of settings, cut into cells, computed by workers and stored."""

import contextlib
import hashlib
import inspect
import itertools
import json
import math
import os
import signal
import threading
import time
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from dataclasses import fields, replace
from multiprocessing import get_context, parent_process
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
import tqdm.auto

import growlib
from growkit.statistics import in_thousands
from growlib import (
    ARMS,
    BLOCK,
    METHODS,
    TASKS,
    VARIED,
    _choice,
    _described,
    _flops,
    _networks,
    _replacing,
    _require,
    _whole,
    _wholes,
    arms,
    fit,
    has_compiler,
    task,
    with_sums,
)

_ONE_CELL = threading.Lock()  # a process computes one cell at a time
CELL_SECONDS, CORE_FLOPS = (
    60,
    8e9,
)  # work in one piece of a study, by what a core does in a second, roughly
KEPT_TRIALS, DRAWN_TRIALS, MAPPED_TRIALS = (
    200,
    20,
    3,
)  # trials whose history, fit on a line, and classes on a plane a study keeps
CHOSEN = ("start", "target", "coupling", "lr")  # kept in float64, so that they can be looked up
FRAMES = {
    "finals": "",
    "history": "-history",
    "curves": "-curves",
}  # what is kept of a study, and how the names of its files end


READINGS = {
    "released": {"mask": "shared", "learns_from": "size"},
    "described": {"mask": "neuron", "learns_from": "loss"},
}
_TABLE = (
    Path(growlib.__file__).parent / "data" / "studies.toml"
)  # the settings of every study; how to read it stands at its head
STUDIES = tomllib.loads(_TABLE.read_text()) if _TABLE.exists() else {}


def _settings(grid):
    """The settings of a grid, arguments of `fit` each: a list is crossed with the others."""
    parts = grid if isinstance(grid, list | tuple) else [grid]
    fine = parts and all(
        isinstance(part, Mapping)
        and "task" in part
        and isinstance(part.get("controls", {}), Mapping)
        for part in parts
    )
    _require(
        fine, "grid", grid, "a mapping that names a task and other arguments of fit, or several"
    )
    settings = [
        _setting(dict(zip(part, values, strict=True)))
        for part in itertools.chain(*map(_controlled, parts))
        for values in itertools.product(
            *(value if isinstance(value, list) else [value] for value in part.values())
        )
    ]
    _require(settings, "grid", grid, "at least one value in each of its lists")
    return settings


def _controlled(part):
    """The part of a grid once for each of its `controls`, with what that changes."""
    bare = {name: value for name, value in part.items() if name not in ("controls", "tuning")}
    return [
        bare | {"control": name} | change for name, change in part.get("controls", {}).items()
    ] or [bare]


def _setting(chosen):
    """One setting of a grid: what its names belong to, task, growth or `fit`, gets it."""
    chosen = {
        name: _spread(value) if isinstance(value, Mapping) else value
        for name, value in chosen.items()
    }
    reading = (
        READINGS[_choice("reading", chosen.pop("reading"), READINGS)] if "reading" in chosen else {}
    )
    method = METHODS[
        _choice(
            "method",
            chosen.pop("method", "ControllerMask" if reading else "AuxiliaryWeight"),
            METHODS,
        )
    ]
    growth, arm = chosen.pop("growth", None), _choice("arm", chosen.pop("arm", "growing"), ARMS)
    moved = reading | {
        f.name: chosen.pop(f.name) for f in fields(growth or method) if f.name in chosen
    }
    options = {
        name: chosen.pop(name)
        for name in ("points", "test_points", "noise", "gap", "classes")
        if name in chosen
    }
    known = {"task", "kept", *inspect.signature(fit).parameters} - {
        "task_or_name",
        "growth",
        "progress",
        "keep_weights",
    }
    for name in chosen:
        _choice("grid", name, known | {"arm", "method", "reading", "growth", *moved, *options})
    task(_choice("task", chosen["task"], TASKS), **options)
    return (
        chosen
        | ({"options": options} if options else {})
        | {"growth": replace(growth, **moved) if growth else arms(method, **moved)[arm]}
    )


def _spread(spec):
    """The values from first to last, each so far from the next, whole or as powers of ten: one value of a grid with many in it."""
    values = np.round(np.arange(spec["first"], spec["last"] + spec["each"] / 2, spec["each"]), 2)
    return 10**values if spec.get("powers_of_ten") else values.astype(int)


def published(study: str, scale: str = "paper") -> list[dict]:
    """Return the settings of a published study, arguments of `fit` each, an arm after the other; a rate "tuned" is looked up in data/.

    At the quick scale there are fewer trials of them; on the large sets also fewer points and epochs, of the two sweeps fewer settings.
    ValueError where the study or the scale is unknown.
    """
    shared = dict(STUDIES[_choice("study", study, STUDIES)])
    parts, quick, _ = shared.pop("part", [{}]), shared.pop("quick"), shared.pop("kept_rows", None)
    if "tunes" in shared:  # the learning rates of another study, on trials of their own
        parts = [part | part["tuning"] for part in STUDIES[shared.pop("tunes")]["part"]]
    if _choice("scale", scale, ("quick", "paper")) == "quick":
        parts = quick if isinstance(quick, list) else [part | quick for part in parts]
    settings = _settings([shared | part for part in parts])
    tried = stored("tuning") if any(s.get("lr") == "tuned" for s in settings) else None
    settings = [s | {"lr": _tuned(s, tried)} if s.get("lr") == "tuned" else s for s in settings]
    return list(
        {json.dumps(_described(s)): s for s in settings}.values()
    )  # the tuned rate may be the published one


def _tuned(setting, tried):
    """The learning rate whose median task loss on the test points is lowest in the finals `tried`; diverged trials are worst."""
    growth = setting["growth"]
    alike = {
        "task": setting["task"],
        "control": setting["control"],
        "width": setting["width"],
        "method": type(growth).__name__,
        "arm": growth.arm(),
    }
    tried = tried[(tried[list(alike)] == list(alike.values())).all(axis=1)]
    _require(
        len(tried),
        "control",
        setting["control"],
        f"one whose rates the study 'tuning' tried for {growth.arm()} on {setting['task']}",
    )
    return (
        tried["test_task_loss"]
        .where(~tried["diverged"], np.inf)
        .groupby(tried["lr"])
        .median()
        .idxmin()
    )


def results(name: str, scale: str = "paper") -> SimpleNamespace:
    """Return the frames `finals`, `history` and `curves` of a published study, and in `origin` one line that says where they come from.

    At the quick scale they are trained here; at the paper scale they are those in `data/`, and what that lacks is computed.

    Parameters
    ----------
    name : str
        One of `STUDIES`.
    scale : {"quick", "paper"}
        A small honest sample, trained now, or the published number of trials.

    Raises
    ------
    ValueError
        The name or the scale is unknown.
    """
    settings, began = published(name, scale), time.perf_counter()
    if scale == "paper":
        study(name)
        frames, how = (
            {what: stored(name, what) for what in FRAMES},
            f"from data/, made in {about_stored(name)['core_minutes']:.0f} core-minutes.",
        )
    else:
        with _progress(name) as report:
            frames = _select(name, [_compute(cell, report) for cell in _cells(settings, math.inf)])
        frames = {
            what: frame if what == "curves" else with_sums(frame) for what, frame in frames.items()
        }
        how = f"trained here in {time.perf_counter() - began:.0f} s."
    return SimpleNamespace(
        **frames, origin=f"{in_thousands(settings[0]['trials'])} trials an arm, {how}"
    )


def study(
    name: str, grid: Mapping | Sequence[Mapping] | None = None, workers: int = 2, client=None
) -> pd.DataFrame:
    """Return the finals of every setting × trial of a grid; what the store holds already is not computed again.

    The work is cut into cells of about a minute, kept in `.cache/cells` as they are finished: a study that was stopped
    goes on from there. The frame does not depend on the workers, their number or the order they finish in.

    Parameters
    ----------
    name : str
        What the progress bar calls it; without a grid one of `STUDIES`, which is also written to `data/`.
    grid : mapping or sequence of mappings, optional
        The `task` by name, its options, the `arm`, `method` and `reading` or a `growth` and its arguments, and what else `fit` takes;
        a list of values is crossed with the other lists, a tuple is one value; `controls` maps a name to what it changes.
        `kept` is how many trials keep their histories and fits.
    workers : int
        Local processes, of one thread each.
    client : dask.distributed.Client, optional
        A cluster to compute on instead; its workers share this file system.

    Raises
    ------
    ValueError
        The name is unknown, the grid holds what `fit` does not take, or the store cannot be written.
    RuntimeError
        A local worker died; finished cells stay.
    """
    if grid is None and is_stored(name):
        return stored(name)
    settings = published(name) if grid is None else _settings(grid)
    found = _computed(name, _cells(settings), _whole("workers", workers), client)
    frames = _select(name, [frame for frame, _ in found])
    if grid is None:
        about = {
            "study": name,
            "method": growlib.METHOD,
            "settings": [_described(s) for s in settings],
            "core_minutes": round(sum(minutes for _, minutes in found), 1),
            "torch": torch.__version__.split("+")[0],
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "compiled": has_compiler(),
        }
        for what in reversed(FRAMES):  # the finals last: they say that the study is there
            _write_parquet([frames[what]], _path(name, what), about)
    return with_sums(frames["finals"])


def stored(study: str, what: str = "finals") -> pd.DataFrame:
    """Return the committed frame of a study.

    Parameters
    ----------
    study : str
        One of `STUDIES`.
    what : {"finals", "history", "curves"}
        A row a trial; a row a trial and logged epoch, for the first 200 trials; or predictions on a grid
        (first 20 trials) and confusion counts. Columns and units stand in data/README.md.

    Raises
    ------
    ValueError
        The study or `what` is unknown.
    FileNotFoundError
        `data/` does not hold the study.
    """
    path = _path(study, what)
    if not path.exists():
        raise FileNotFoundError(
            f"study {study!r} is not in {path.parent}; `make paper` computes it"
        )
    frame = (
        pq.read_table(path)
        .to_pandas()
        .drop(columns="gate" if what == "finals" else [], errors="ignore")
    )
    return frame if what == "curves" else with_sums(frame)


def _path(study, what="finals"):
    return (
        growlib.HOME
        / "data"
        / f"{_choice('study', study, STUDIES)}{FRAMES[_choice('what', what, FRAMES)]}.parquet"
    )


def about_stored(study: str) -> dict:
    """Return the settings and the circumstances (method, torch, processor, core-minutes) that a stored study was made with.

    ValueError where the study is unknown, FileNotFoundError where it is not stored.
    """
    return json.loads(pq.read_schema(_path(study)).metadata[b"growlib"])


def is_stored(study: str) -> bool:
    """Return whether `data/` holds the whole study, with the settings and the method of this program; ValueError where it is unknown."""
    about = about_stored(study) if all(_path(study, what).exists() for what in FRAMES) else {}
    return about.get("method") == growlib.METHOD and about["settings"] == [
        _described(s) for s in published(study)
    ]


def _cells(settings, seconds=None):
    """The pieces of a study, arguments of `fit` each, of about `seconds` of work on one core."""
    cells = []
    for shared, networks in _networks(settings):
        most = (seconds or CELL_SECONDS) / _seconds(shared)
        most = (
            len(networks)
            if most > len(networks)
            else max(1, int(most))
            if most < BLOCK
            else int(most) // BLOCK * BLOCK
        )
        for first in range(0, len(networks), most):
            part = {
                name: column.tolist() for name, column in networks[first : first + most].items()
            }
            growth = replace(shared["growth"], **{name: part.pop(name) for name in VARIED})
            cells.append(shared | part | {"growth": growth})
    return cells


def _seconds(setting):
    """What a network of this setting takes one core, within a factor of two (fitted to the scaling study)."""
    what, widths = (
        task(setting["task"], **setting.get("options", {})),
        _wholes("width", setting.get("width", 9)),
    )
    return (
        np.max(setting.get("epochs", 4000))
        * what.train_points
        * (160 + _flops(what, widths) * sum(widths) / (1 + what.outputs / 4))
        / CORE_FLOPS
    )


def _compute(cell, report=None):
    """Train one cell and return what is kept of it: the `FRAMES`."""
    what, kept = (
        task(cell["task"], **cell.get("options", {})),
        _whole("kept", cell.get("kept", KEPT_TRIALS)),
    )
    run = fit(
        what,
        progress=report,
        **{name: value for name, value in cell.items() if name not in ("task", "options", "kept")},
    )
    curves = [_on_a_grid(run, kept)] + (
        [run.confusion().assign(kind="confusion")] if what.classes else []
    )
    last = run.finals["epochs"].max()
    return dict(
        zip(
            FRAMES,
            (
                run.finals,
                run.history[run.history["trial"] < kept],
                pd.concat(curves).assign(epochs=last),
            ),
            strict=True,
        )
    )


def _on_a_grid(run, kept):
    """The predictions of a run's first trials on a line, or the classes that they find on a plane."""
    line, most = (
        pd.Series(np.linspace(-1, 1, 201), name="x"),
        DRAWN_TRIALS if run.task.inputs == 1 else MAPPED_TRIALS,
    )
    grid = (
        line.to_frame()
        if run.task.inputs == 1
        else pd.merge(line[::2].rename("x2"), line[::2], how="cross")[["x", "x2"]]
    )
    drawn = np.flatnonzero(run.networks["trial"] < min(kept, most))
    found = run.predict(grid.to_numpy())[drawn]
    found = found.argmax(-1) if run.task.loss == "softmax" else found[:, :, 0]
    return (
        run.networks.iloc[drawn]
        .merge(grid, how="cross")
        .assign(kind="prediction", prediction=found.ravel())
    )


def _select(study, cells):
    """The frames of a study from those of its cells, in an order that does not depend on how it was cut."""
    frames = {
        what: pd.concat([cell[what] for cell in cells]).dropna(axis=1, how="all") for what in FRAMES
    }
    frames |= {
        what: frames[what].query(kept)
        for what, kept in STUDIES.get(study, {}).get("kept_rows", {}).items()
    }
    if (
        frames["finals"]["dtype"] == "float32"
    ).all():  # then the size is what was trained, to the bit, and its loss follows from it
        frames = {
            what: frame.drop(columns="size_loss", errors="ignore") for what, frame in frames.items()
        }
    for what, order in zip(
        FRAMES, (["epochs"], ["epoch"], ["kind", "true_class", "predicted_class"]), strict=True
    ):
        frames[what] = frames[what].sort_values(
            [name for name in order if name in frames[what]], kind="stable", ignore_index=True
        )
    return frames


def _cell_path(cell):
    """Where the cache keeps a cell; the name changes with its settings and with the method."""
    text = json.dumps([growlib.METHOD, FRAMES, _described(cell)], sort_keys=True)
    return (
        growlib.HOME
        / ".cache"
        / "cells"
        / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.parquet"
    )


def _work(cell, path):
    """Compute a cell and put it into the store at `path` (a worker runs this, one cell at a time)."""
    with _ONE_CELL:
        torch.set_num_threads(1)
        began = (
            time.process_time()
        )  # not the clock on the wall: a core may be shared, or the work suspended
        frames = [frame.assign(what=what) for what, frame in _compute(cell).items()]
        _write_parquet(
            frames, path, {"cell": path.stem, "core_minutes": (time.process_time() - began) / 60}
        )


def _prepare_worker():
    """Leave Ctrl-C to the parent, which ends its workers, and end with it if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()


def _computed(name, cells, workers, client):
    """The frame and the core-minutes of every cell; those that the store lacks are computed first."""
    paths = [_cell_path(cell) for cell in cells]
    found = {path: _cached(path) for path in paths}
    lacking = {path: cell for path, cell in zip(paths, cells, strict=True) if found[path] is None}
    if not lacking:
        return list(found.values())
    with _replacing(
        paths[0].with_name("probe")
    ) as probe:  # says at once where the store cannot be written
        probe.touch()
    pool = (
        client.get_executor(pure=False, retries=2)
        if client
        else ProcessPoolExecutor(workers, get_context("spawn"), _prepare_worker)
    )
    with pool, _progress(name) as report:
        futures = {
            pool.submit(_work, cell, path): _seconds(cell) * len(cell["trials"])
            for path, cell in lacking.items()
        }
        try:
            for future in as_completed(futures):
                future.result()
                report(
                    sum(work for each, work in futures.items() if each.done())
                    / sum(futures.values())
                )
        except BrokenExecutor:
            raise RuntimeError(
                f"a worker of study {name!r} died, perhaps for want of memory; what it had finished stays in the store"
            ) from None
        except BaseException:
            for process in list(
                getattr(pool, "_processes", {}).values()
            ):  # a pool that is shut down no longer knows them
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    found |= {path: _cached(path) for path in lacking}
    _require(
        None not in found.values(),
        "client",
        client,
        f"workers that share this file system, so that their cells show in {paths[0].parent}",
    )
    return list(found.values())


def _cached(path):
    """A cell's frame and core-minutes, None where the store has none; what is not this cell whole is set aside with a warning."""
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        about = json.loads((table.schema.metadata or {}).get(b"growlib", "{}"))
        fine = (about.get("cell"), about.get("schema")) == (
            path.stem,
            str(table.schema.remove_metadata()),
        )  # which no checksum covers
        _require(fine, "it", about.get("cell"), "what was written for this cell")
        return {
            what: table.filter(pc.field("what") == what).drop_columns("what").to_pandas()
            for what in FRAMES
        }, about["core_minutes"]
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        warnings.warn(
            f"{path.name} in the cache cannot be read ({' '.join(str(error).split())}); it is set aside and computed again",
            stacklevel=2,
        )
        with contextlib.suppress(OSError):  # another process was faster, or the store is read-only
            os.replace(path, path.with_suffix(".damaged"))


def _write_parquet(frames, path, about):
    """Write the frames one below the other with `about` in the metadata, in float32 and small integers, whole or not at all."""
    tables = [
        pa.Table.from_pandas(
            frame.drop(columns=["train_loss", "test_loss"], errors="ignore"), preserve_index=False
        )
        for frame in frames
    ]
    table, small = (
        pa.concat_tables(tables, promote_options="default"),
        {pa.float64(): pa.float32(), pa.int64(): pa.int32()},
    )
    kinds = [
        each if each.name in CHOSEN else each.with_type(small.get(each.type, each.type))
        for each in table.schema
    ]
    fine = [each.name for each in kinds if each.type == pa.float32()]
    with _replacing(path) as temporary, open(temporary, "wb") as file:
        schema = pa.schema(
            kinds, {b"growlib": json.dumps(about | {"schema": str(pa.schema(kinds))})}
        )
        pq.write_table(
            table.cast(schema),
            file,
            compression="zstd",
            compression_level=9,
            write_page_checksum=True,
            use_byte_stream_split=fine,
            use_dictionary=[name for name in table.column_names if name not in fine],
        )
        file.flush(), os.fsync(file.fileno())


@contextlib.contextmanager
def _progress(label):
    """A function that takes the fraction done, 0 ... 1, while a bar tells what is left: in the file that GROWLIB_PROGRESS names, if it does."""
    told = os.environ.get("GROWLIB_PROGRESS")
    with open(told, "w") if told else contextlib.nullcontext() as file:
        new, look = (
            (tqdm.tqdm, "{desc} {n:.0f} %, {remaining} left")
            if told
            else (tqdm.auto.tqdm, "{desc} {bar} {n:.0f} % {remaining} left")
        )
        with new(
            total=100, desc=label, leave=False, smoothing=0, file=file, bar_format=look
        ) as bar:
            yield lambda share: bar.update(100 * share - bar.n)
