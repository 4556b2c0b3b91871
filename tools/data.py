"""Compute what `data/` lacks: the published studies, and the tables that are derived from them.

    python tools/data.py [TABLE ...]

`make paper` calls this file before it runs the notebooks, which read `data/` and never write to it.
It can be stopped and started at will. A study is computed if it is not stored. A table is computed
if what it is computed from has changed, or if it is named; all tables take about twenty minutes.

The modules of growkit/derived compute the tables. `data/derived.json` keeps a digest of the files
from which each table was computed.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
DIGESTS = DATA / "derived.json"
sys.path.insert(0, str(ROOT))

from growkit import studies  # noqa: E402
from growkit.derived import (  # noqa: E402
    adam,
    claims,
    comparisons,
    compute,
    controls,
    coupling,
    minima,
    newborn,
    rules,
    scaling,
    your_data,
)
from growlib import _replacing  # noqa: E402


class Table(NamedTuple):
    """Where a derived table comes from."""

    compute: Callable  # returns the table
    studies: tuple = ()  # those that are read
    tables: tuple = ()  # those above it that are read


TABLES = {
    "results": Table(comparisons.compute, comparisons.STUDIES),
    "coupling": Table(coupling.compute, ("coupling",)),
    "scaling": Table(scaling.compute, scaling.STUDIES),
    "controls": Table(controls.compute, ("controls", "tuning")),
    "compute": Table(compute.compute, ("controls", "tuning")),
    "newborn": Table(newborn.compute),
    "your_data": Table(your_data.compute, ("your-data",)),
    "adam": Table(adam.compute, adam.STUDIES),
    "minima": Table(minima.compute, ("adam-ladder", "adam-ladder-tuning")),
    "rules": Table(rules.compute, rules.STUDIES),
    "claims": Table(
        claims.compute, ("coupling", *scaling.STUDIES), ("results", "controls", "adam")
    ),
    "verdicts": Table(claims.verdicts, (), ("claims",)),
}


def sources(name: str) -> list[Path]:
    """Return the files from which a table is computed."""
    files = [f"{table}.csv" for table in TABLES[name].tables]
    for study in TABLES[name].studies:
        files += [f"{study}.parquet", f"{study}-history.parquet"]
    return [DATA / file for file in files]


def digest(name: str) -> str:
    """Return a digest of the files from which a table is computed."""
    found = hashlib.sha256()
    for path in sources(name):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def digests() -> dict[str, str]:
    """Return the digests of the files from which the tables in `data/` were computed."""
    return json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}


def is_stale(name: str) -> bool:
    """Return whether `data/` lacks a table, or what it is computed from has changed.

    A table whose sources are not there cannot be computed, and is not stale.
    """
    if not all(path.exists() for path in sources(name)):
        return False
    is_there = (DATA / f"{name}.csv").exists()
    return not is_there or digests().get(name) != digest(name)


def stale() -> list[str]:
    """Return the names of the tables that are stale."""
    return [name for name in TABLES if is_stale(name)]


def write(name: str) -> None:
    """Compute a table and write it, with the digest of what it was computed from."""
    computed_from = digest(name)
    with _replacing(DATA / f"{name}.csv") as temporary:
        TABLES[name].compute().to_csv(temporary, index=False, float_format="%.6g")
    with _replacing(DIGESTS) as temporary:
        temporary.write_text(json.dumps(digests() | {name: computed_from}, indent=1) + "\n")


def compute_studies() -> None:
    """Compute the published studies that are not stored, and say what they took."""
    computed = 0
    for name in studies.STUDIES:
        if not studies.is_stored(name):
            computed += 1
            studies.study(name)
            print(f"{name}: {studies.about_stored(name)['core_minutes']} core-minutes", flush=True)
    if not computed:
        print("data/ holds every study: nothing to compute.", flush=True)


def compute_tables(named: list[str]) -> None:
    """Compute the tables that are named or stale, in their order."""
    for name in TABLES:
        # Writing a table may make those below it stale, so each is asked when its turn comes.
        if name in named or is_stale(name):
            began = time.monotonic()
            write(name)
            print(f"data/{name}.csv: {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help=f"to compute anew: {', '.join(TABLES)}"
    )
    named = parser.parse_args().tables
    for name in named:
        if name not in TABLES:
            raise SystemExit(f"TABLE is {name!r}; it takes one of {', '.join(TABLES)}")
    try:
        compute_studies()
        compute_tables(named)
    except KeyboardInterrupt:
        raise SystemExit("stopped; what was finished stays") from None
    except (RuntimeError, ValueError, OSError) as error:  # sentences of growlib and growkit
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
