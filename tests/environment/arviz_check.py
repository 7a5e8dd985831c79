"""Opens the draws of a run as a user of ArviZ does, and holds ArviZ's diagnostics against those that featherm reports.

    python tests/environment/arviz_check.py RUN_DIR

Any warning is an error. Needs Python 3.12 with arviz >= 1.3, zarr and pandas.
"""

import json
import sys
import warnings
from pathlib import Path

import arviz
import numpy as np
import pandas

# Both sides compute the same formulas from the same float64 draws, in another order.
RELATIVE = 1e-8

warnings.simplefilter("error")


def same(ours, theirs, what):
    ours, theirs = (np.array(x, dtype=float).ravel() for x in (ours, theirs))
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=RELATIVE, atol=0.0, equal_nan=True):
        sys.exit(f"{what}: featherm has {ours}, ArviZ {theirs}")


def cells(report, name):
    """Every number of the observables that stand in the store, by temperature."""
    for at in report["temperatures"]:
        yield at["temperature"], at["observables"][name]


def main(directory):
    report = json.loads((directory / "report.json").read_text())
    table = pandas.read_csv(directory / "table.csv")
    tree = arviz.from_zarr(directory / "draws.zarr")
    posterior = tree.posterior

    diagnostics = {
        "mean": posterior.mean(("chain", "draw")),
        "mcse": arviz.mcse(posterior, method="mean"),
        "ess": arviz.ess(posterior, method="bulk"),
        # The tails that featherm reports (Vehtari et al. 2021); ArviZ takes others unless told.
        "ess_tail": arviz.ess(posterior, method="tail", prob=(0.05, 0.95)),
        "rhat": arviz.rhat(posterior, method="rank"),
    }
    columns = {"ess": "ess_bulk"}
    compared = 0
    for name in posterior.data_vars:
        for temperature, observable in cells(report, name):
            lines = table[(table.observable == name) & (table.temperature == temperature)]
            for field, values in diagnostics.items():
                where = f"{name} at T = {temperature}: {field}"
                theirs = values[name].sel(temperature=temperature)
                same(observable[field], theirs, where)
                same(lines[columns.get(field, field)], theirs, where + " in table.csv")
                compared += 1
            for kind, value in observable["theory"].items():
                stored = tree.theory[name].sel(temperature=temperature, theory=kind)
                same(value, stored, f"{name} at T = {temperature}: {kind}")
                same(lines[kind.replace("-", "_")], stored, f"{name} at T = {temperature}: {kind} in table.csv")
    if compared == 0:
        sys.exit("nothing was compared")

    labels = list(arviz.summary(tree, fmt="wide").index)
    for temperature in posterior.temperature.values:
        if f"train_loss[{temperature}]" not in labels:
            sys.exit(f"the summary has no train_loss[{temperature}], but {labels}")
    superchains = posterior.superchain.values
    if superchains.shape != posterior.chain.shape or superchains.dtype.kind != "i":
        sys.exit(f"superchain is {superchains}")
    arviz.diagnose(tree, show_diagnostics=False, return_diagnostics=True)
    if not np.isfinite(arviz.bfmi(tree)["energy"]).all():
        sys.exit("the E-BFMI is not known")
    for at in report["temperatures"]:
        diverging = tree.sample_stats.diverging.sel(temperature=at["temperature"])
        same(at["sampler"]["divergences"], diverging.sum(), f"divergences at T = {at['temperature']}")
        acceptance = tree.sample_stats.acceptance_rate.sel(temperature=at["temperature"])
        same(at["sampler"]["acceptance_rate"], acceptance.mean(), f"acceptance at T = {at['temperature']}")
    for group in tree.groups:
        tree[group].load()
    print(f"{compared} numbers of {len(posterior.data_vars)} observables agree; groups {' '.join(tree.groups)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
