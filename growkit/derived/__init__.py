"""Tables that are computed from the stored results, a module each.

`tools/data.py`, which `make paper` runs, writes them to `data/`. Notebooks at the published scale
read them, and at the quick scale compute them from the small sample that they have trained. Open a
module here to see, or to doubt, how a number of a table came about.
"""

import numpy as np
import pandas as pd

import growlib


def stored(name: str) -> pd.DataFrame:
    """Return the derived table `data/<name>.csv`.

    Raises FileNotFoundError if `data/` does not hold it; `make data` computes it.
    """
    folder = growlib._data_with(f"{name}.csv")
    path = folder / f"{name}.csv"
    if not path.exists():
        raise FileNotFoundError(f"table '{name}' is not in {folder}; `make data` computes it")
    return pd.read_csv(path)


def select(frame: pd.DataFrame, **values) -> pd.DataFrame:
    """Return the rows of a frame that have these values in the columns of these names.

    A float counts as equal if it is close, since stored numbers were rounded.
    """
    for column, value in values.items():
        if isinstance(value, float):
            frame = frame[np.isclose(frame[column], value)]
        else:
            frame = frame[frame[column] == value]
    return frame
