"""What every peer shares: the command line, the problem, the check of the gradient, the clock and the JSON line.

The posterior is exp(−β L − λ0/2 ‖W‖² − λ1/2 ‖v‖²) with L = ½ Σ (y − f)² and f(x) = (1/√N1) Σ v_i σ(w_i·x/√N0).
A chain-step is one gradient of one chain and what its sampler does with it: 4·P·N0·N1 flops of products.
"""

import argparse
import dataclasses
import importlib.metadata
import json
import math
import os
import sys
import time
from typing import Callable

import numpy as np
from scipy.special import erf

LEARNING_RATE = 1e-3  # θ ← θ − η T ∇U + √(2 η T) ξ, the scale of the field's scripts; small enough for every case
STEPS_PER_CALL = 10  # gradients between two looks at the clock
TOLERANCE = 1e-4  # of the float32 gradient, relative to the norm of its block
SKIPPED = 3  # exit status: the package is not installed
REFUSED = 4  # exit status: the gradient or the final state is wrong


@dataclasses.dataclass
class Problem:
    points: int
    inputs: int
    width: int
    chains: int
    activation: str
    temperature: float = 0.5
    lambda0: float = 1.5
    lambda1: float = 0.7

    def __post_init__(self):
        rng = np.random.default_rng(1)
        self.x = rng.standard_normal((self.points, self.inputs), dtype=np.float32)
        self.y = np.sign(rng.standard_normal(self.points)).astype(np.float32)
        self.w = rng.standard_normal((self.chains, self.width, self.inputs), dtype=np.float32)
        self.v = rng.standard_normal((self.chains, self.width), dtype=np.float32)


@dataclasses.dataclass
class Contender:
    """What a peer hands to `main`. U is minus the logarithm of the posterior."""

    chains: int  # that it really runs
    gradient: Callable  # () -> (∂U/∂W, ∂U/∂v) at the problem's own W and v, by the code that `advance` runs
    advance: Callable  # () -> None: STEPS_PER_CALL gradients of every chain, finished when it returns
    state: Callable  # () -> arrays of the current weights
    packages: tuple


def reference_gradient(problem, chain):
    """∂U/∂W and ∂U/∂v of one chain in float64, written out."""
    x, y, w, v = (a.astype(np.float64) for a in (problem.x, problem.y, problem.w[chain], problem.v[chain]))
    h = x @ w.T / math.sqrt(problem.inputs)
    if problem.activation == "erf":
        s, ds = erf(h), 2 / math.sqrt(math.pi) * np.exp(-h * h)
    else:
        s, ds = np.maximum(h, 0), (h > 0).astype(np.float64)
    error = (s @ v / math.sqrt(problem.width) - y) / problem.temperature
    dv = s.T @ error / math.sqrt(problem.width) + problem.lambda1 * v
    delta = error[:, None] * ds * v / math.sqrt(problem.width)
    dw = delta.T @ x / math.sqrt(problem.inputs) + problem.lambda0 * w
    return dw, dv


def gradient_error(problem, contender):
    """The largest relative error of a block (W or v) of the first and the last chain."""
    dw, dv = contender.gradient()
    worst = 0.0
    for chain in {0, contender.chains - 1}:
        for ours, right in zip((dw[chain], dv[chain]), reference_gradient(problem, chain)):
            ours = np.asarray(ours, dtype=np.float64)
            if ours.shape != right.shape:
                sys.exit(f"shape {ours.shape} of a gradient, {right.shape} expected")
            error = np.linalg.norm(ours - right) / np.linalg.norm(right)
            worst = max(worst, error if math.isfinite(error) else math.inf)
    return worst


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=500, help="P")
    parser.add_argument("--inputs", type=int, default=784, help="N0")
    parser.add_argument("--width", type=int, default=500, help="N1")
    parser.add_argument("--chains", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to measure")
    parser.add_argument("--activation", choices=("erf", "relu"), default="erf")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--wrong-gradient", action="store_true", help="control: λ0 is 1 % off, and must be refused")
    return parser


def limit_threads(threads):
    """Before the first import of a peer: its pools are sized by the cores that this process may use."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    # By default OpenMP's threads spin while they wait, which costs torch an order of magnitude on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def main(name, build, options=None):
    """Checks, warms up and times the contender that `build(problem, options)` makes; prints one JSON line."""
    options = options or arguments().parse_args()
    limit_threads(options.threads)
    problem = Problem(options.points, options.inputs, options.width, options.chains, options.activation)
    given = dataclasses.replace(problem, lambda0=problem.lambda0 * 1.01) if options.wrong_gradient else problem
    result = {"contender": name, "p": problem.points, "n0": problem.inputs, "width": problem.width}
    try:
        contender = build(given, options)
    except ImportError as error:
        print(json.dumps(result | {"skipped": str(error)}))
        sys.exit(SKIPPED)
    error = gradient_error(problem, contender)
    if error > TOLERANCE:
        print(f"{name}: its gradient is off by {error:.2e} (relative; {TOLERANCE:.0e} allowed)", file=sys.stderr)
        sys.exit(REFUSED)

    start = time.perf_counter()
    contender.advance()
    first = time.perf_counter() - start
    calls, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < options.seconds:
        contender.advance()
        calls += 1
    if not all(np.isfinite(np.asarray(a)).all() for a in contender.state()):
        print(f"{name}: a chain diverged, so its time means nothing", file=sys.stderr)
        sys.exit(REFUSED)
    seconds = elapsed / (calls * STEPS_PER_CALL * contender.chains)
    result |= {
        "chains": contender.chains,
        "threads": options.threads,
        "ms_per_chain_step": 1e3 * seconds,
        "gflops": 4 * problem.points * problem.inputs * problem.width / seconds / 1e9,
        "compile_s": max(0.0, first - elapsed / calls),
        "gradient_error": error,
        "versions": {package: importlib.metadata.version(package) for package in contender.packages},
    }
    print(json.dumps(result))
