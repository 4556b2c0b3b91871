import matplotlib
import pytest
import torch

matplotlib.use("agg")
torch.set_num_threads(1)  # two test processes share two cores


@pytest.fixture(scope="session")
def ensemble():
    """128 compiled networks of the first task, grown for 400 epochs."""
    import growlib

    return growlib.fit("bessel-j0", growlib.AuxiliaryWeight(coupling=10.0), trials=128, epochs=400, log_every=40, keep_weights=True)
