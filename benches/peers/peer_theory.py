"""The theory of deepbays over a ladder of temperatures: seconds, and Q̄ beside that of `featherm theory`.

deepbays minimises the effective action of erf or another odd activation at one temperature. The kernel and its
eigenvectors do not depend on T, so they are made once here; a user who makes a model for every temperature, as its
examples do, pays for them every time, which is printed too.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

import common


def featherm(binary, problem, options):
    """Q̄ by temperature and the seconds of the whole process, its start and its reading of the data included."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "problem.npz")
        np.savez(path, x_train=problem.x.astype(np.float64), y_train=problem.y.astype(np.float64))
        command = [binary, "theory", "--json", "--theories", "saddle", "--data", path, "--train", str(problem.points)]
        command += ["--test", "0", "--width", str(problem.width), "--activation", "erf"]
        command += ["--lambda0", str(problem.lambda0), "--lambda1", str(problem.lambda1)]
        command += ["--temperatures", ",".join(f"{t:.17g}" for t in temperatures(options))]
        start = time.perf_counter()
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        seconds = time.perf_counter() - start
    return {p["temperature"]: p["q_bar"] for p in json.loads(output)["points"]}, seconds


def temperatures(options):
    return np.geomspace(options.hottest, options.coldest, options.temperatures)


def deepbays(problem, options):
    import deepbays_cpu

    _, rkgp = deepbays_cpu.load()
    model = rkgp.FC_1HL(problem.width, 1.0, problem.lambda0, problem.lambda1, act="erf")
    start = time.perf_counter()
    model.preprocess(problem.x.astype(np.float64), problem.y.astype(np.float64))
    prepared = time.perf_counter()
    q_bar = {}
    for model.T in temperatures(options):
        model.optimize()
        q_bar[model.T] = model.optQ
    return q_bar, prepared - start, time.perf_counter() - prepared


def main():
    parser = common.arguments()
    parser.add_argument("--temperatures", type=int, default=50)
    parser.add_argument("--hottest", type=float, default=10.0)
    parser.add_argument("--coldest", type=float, default=1e-3)
    parser.add_argument("--featherm", default=os.environ.get("FEATHERM", "../../target/release/featherm"))
    options = parser.parse_args()
    common.limit_threads(options.threads)
    problem = common.Problem(options.points, options.inputs, options.width, 1, "erf")
    result = {"contender": "deepbays, theory", "p": problem.points, "n0": problem.inputs, "width": problem.width}
    try:
        with contextlib.redirect_stdout(sys.stderr):
            theirs, kernel_s, sweep_s = deepbays(problem, options)
    except ImportError as error:
        print(json.dumps(result | {"skipped": str(error)}))
        sys.exit(common.SKIPPED)
    ours, featherm_s = featherm(options.featherm, problem, options)
    pairs = [(t, q, min(ours.items(), key=lambda o: abs(o[0] - t))[1]) for t, q in theirs.items()]
    result |= {
        "temperatures": len(pairs),
        "deepbays_s": kernel_s + sweep_s,
        "deepbays_model_each_s": len(pairs) * kernel_s + sweep_s,
        "featherm_s": featherm_s,
        "largest_relative_difference_of_q_bar": max(abs(q - o) / o for _, q, o in pairs),
        "q_bar": [{"temperature": float(t), "deepbays": float(q), "featherm": o} for t, q, o in pairs],
    }
    print(json.dumps(result))


main()
