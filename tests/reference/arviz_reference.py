"""Writes arviz_reference.json: what arviz-stats says of fixed arrays that the Rust tests rebuild bit for bit.

    pip install arviz-stats xarray && python tests/reference/arviz_reference.py

Arrays use only exact or correctly rounded operations (splitmix64, + - * / sqrt, floor), so both languages build the same bits:
    u(seed, i)  = (splitmix64(seed, i) >> 11 + 1/2) / 2^53, splitmix64(seed, i) the mix of seed * 2^40 + i + 1 golden steps
    z(seed, i)  = u(seed, 12 i) + ... + u(seed, 12 i + 11) - 6, added in this order (nearly Gaussian, mean 0, variance 1)
    noise i of chain c at draw t has i = c * draws + t
"""

import json
import logging
import pathlib
import platform
import warnings

import arviz_stats
import numpy as np
import scipy
from arviz_stats.base import array_stats

MASK = np.uint64


def uniform(seed, index):
    with np.errstate(over="ignore"):
        state = MASK(seed << 40) + index.astype(MASK) + MASK(1)
        x = state * MASK(0x9E3779B97F4A7C15)
        x = (x ^ (x >> MASK(30))) * MASK(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> MASK(27))) * MASK(0x94D049BB133111EB)
        x = x ^ (x >> MASK(31))
    return ((x >> MASK(11)).astype(float) + 0.5) / 2.0**53


def normal(seed, index):
    total = np.zeros(index.shape)
    for k in range(12):
        total = total + uniform(seed, 12 * index + k)
    return total - 6.0


def ar(seed, chains, draws, phi):
    z = normal(seed, np.arange(chains * draws).reshape(chains, draws))
    x = z.copy()
    for t in range(1, draws):
        x[:, t] = phi * x[:, t - 1] + np.sqrt(1.0 - phi * phi) * z[:, t]
    return x


def array(kind, seed, chains, draws):
    if kind == "independent":
        return ar(seed, chains, draws, 0.0)
    if kind == "ar(0.9)":
        return ar(seed, chains, draws, 0.9)
    if kind == "ar(-0.5)":
        return ar(seed, chains, draws, -0.5)
    x = ar(seed, chains, draws, 0.0)
    if kind == "one chain shifted":
        x[0] = x[0] + 1.0
    elif kind == "one chain wider":
        x[0] = 3.0 * x[0]
    elif kind == "trend":
        x = x + 2.0 * np.arange(draws) / draws
    elif kind == "heavy tails":
        x = x / uniform(seed + 1, np.arange(chains * draws).reshape(chains, draws))
    elif kind == "ties":
        x = np.floor(2.0 * x)
    elif kind == "far from zero":
        # In steps of 2^-20, so that NumPy adds up a chain without rounding and its mean is right to the last digit.
        x = 1024.0 + np.floor(1048576.0 * x) / 1048576.0
    elif kind == "constant":
        x = np.full_like(x, 0.25)
    elif kind == "each chain constant":
        x = np.broadcast_to(np.arange(chains)[:, None], x.shape) / 4.0
    elif kind == "two values":
        x = np.where(x < 0.0, -1.0, 1.0)
    else:
        raise ValueError(kind)
    return x


def finite(value):
    """JSON has no NaN or infinity: they are written as strings."""
    value = float(value)
    return value if np.isfinite(value) else str(value)


def answers(x, superchains):
    chains = len(x)
    ids = np.repeat(np.arange(superchains), chains // superchains)
    out = {
        "mean": np.mean(x),
        "sd": np.std(x, ddof=1),
        "rhat": array_stats.rhat(x, method="rank"),
        "rhat_split": array_stats.rhat(x, method="split"),
        "rhat_identity": array_stats.rhat(x, method="identity"),
        "nested_rhat": array_stats.rhat_nested(x, ids, method="rank"),
        "ess_bulk": array_stats.ess(x, method="bulk"),
        "ess_tail": array_stats.ess(x, method="tail", prob=(0.05, 0.95)),
        "ess_mean": array_stats.ess(x, method="mean"),
        "ess_quantile(0.25)": array_stats.ess(x, method="quantile", prob=0.25),
        "quantile(0.05)": np.quantile(x, 0.05),
        "quantile(0.5)": np.quantile(x, 0.5),
        "quantile(0.95)": np.quantile(x, 0.95),
        "mcse_mean": array_stats.mcse(x, method="mean"),
        "mcse_sd": array_stats.mcse(x, method="sd"),
        "mcse_quantile(0.05)": array_stats.mcse(x, method="quantile", prob=0.05),
        "mcse_quantile(0.5)": array_stats.mcse(x, method="quantile", prob=0.5),
        "mcse_quantile(0.95)": array_stats.mcse(x, method="quantile", prob=0.95),
    }
    out = {name: finite(value) for name, value in out.items()}
    out["bfmi"] = [finite(value) for value in array_stats.bfmi(x)[:4]]
    return out


def main():
    logging.getLogger("arviz_stats").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    kinds = ["independent", "ar(0.9)", "ar(-0.5)", "one chain shifted", "one chain wider", "trend", "heavy tails", "ties", "far from zero"]
    shapes = [(1, 100, 1), (4, 100, 2), (4, 101, 2), (12, 75, 3), (4, 1000, 4), (6, 7, 2)]
    cases = [(kind, *shape) for kind in kinds for shape in shapes]
    cases += [("independent", 2, 4, 2), ("ar(0.9)", 2, 5, 1), ("independent", 4, 3, 2), ("ar(0.9)", 2048, 100, 16)]
    cases += [(kind, 4, 100, 2) for kind in ("constant", "each chain constant", "two values")]
    out = []
    for number, (kind, chains, draws, superchains) in enumerate(cases):
        seed = 2 * number + 1
        x = array(kind, seed, chains, draws)
        head = {"kind": kind, "seed": seed, "chains": chains, "draws": draws, "superchains": superchains}
        out.append(head | answers(x, superchains))
    note = (
        f"arviz-stats {arviz_stats.__version__}, numpy {np.__version__}, scipy {scipy.__version__}, Python {platform.python_version()}; "
        "written by arviz_reference.py, which says how the arrays are built. nested_rhat groups consecutive chains; bfmi lists the first four chains."
    )
    lines = ",\n".join("    " + json.dumps(case) for case in out)
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(f'{{\n  "note": {json.dumps(note)},\n  "cases": [\n{lines}\n  ]\n}}\n')


main()
