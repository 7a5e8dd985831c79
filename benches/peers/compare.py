"""Runs featherm and its peers in turn, several rounds, and prints the medians as a markdown table; the theory once."""

import argparse
import json
import os
import statistics
import subprocess
import sys

import common

PEERS = {
    "deepbays, one chain": ["peer_deepbays.py"],
    "PyTorch, batched": ["peer_torch.py"],
    "JAX, batched": ["peer_jax.py"],
    "BlackJAX MALA": ["peer_blackjax.py", "--sampler", "mala"],
    "BlackJAX HMC": ["peer_blackjax.py", "--sampler", "hmc"],
}
OURS = {"sampled": "featherm", "integrated": "featherm, readout integrated"}
CASES = [(500, 784, 500, 8), (100, 784, 50, 128), (100, 64, 50, 128)]  # P, N0, N1, chains
HERE = os.path.dirname(os.path.abspath(__file__))


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", metavar="P,N0,N1,C", help="instead of the three; may be repeated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured time of a peer in a round")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--activation", choices=("erf", "relu"), default="erf")
    parser.add_argument("--theory-points", default="500", metavar="P,…", help="sizes of the theory's sweeps, one run each; '' for none")
    parser.add_argument("--json", metavar="FILE", help="every measurement, one a line")
    chosen = parser.parse_args()
    if chosen.case:
        chosen.case = [tuple(int(n) for n in case.split(",")) for case in chosen.case]
        if any(len(case) != 4 for case in chosen.case):
            parser.error("--case takes four numbers: P,N0,N1,C")
    return chosen


def sizes(case):
    points, inputs, width, chains = map(str, case)
    return ["--points", points, "--inputs", inputs, "--width", width, "--chains", chains]


def call(command):
    """The JSON on the last line of a command's output; a failure ends the comparison."""
    done = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode not in (0, common.SKIPPED):
        sys.exit(f"{' '.join(command)}\nended with status {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def featherm(binary, case, activation):
    """`featherm bench` on one case, in the fields of a peer's line: the readout moved beside the weights as by the peers, and integrated out."""
    points, inputs, width, chains = map(str, case)
    command = [binary, "bench", "--json", "--steps-only", "--backend", "cpu", "--activation", activation]
    command += ["--data", "teacher:linear", "--teacher-dimension", inputs, "--train", points, "--test", "0"]
    command += ["--width", width, "--chains", chains, "--temperatures", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with status {done.returncode}:\n{done.stderr}")
    runs = {}
    for row in json.loads(done.stdout)["cases"]:
        if (row["p"], row["n0"], row["width"], row["chains"]) != case:
            sys.exit(f"featherm measured {row}, and not the case {case}")
        runs[OURS[row["readout"]]] = {"contender": "featherm", "ms_per_chain_step": 1e3 / row["chain_steps_per_s"], **row}
    return runs


def control(python):
    """Each peer once with a wrong gradient: one that accepts it proves nothing. Returns the reasons of those skipped."""
    skipped = {}
    for name, script in PEERS.items():
        command = [python, *script, *sizes((20, 10, 8, 2)), "--seconds", "0.1", "--wrong-gradient"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
        if done.returncode == common.SKIPPED:
            skipped[name] = json.loads(done.stdout)["skipped"]
        elif done.returncode != common.REFUSED:
            sys.exit(f"{name}: a wrong gradient was not refused (status {done.returncode}):\n{done.stderr}")
    return skipped


def step_table(cases, measured, skipped):
    print("| P, N0, N1, chains | contender | ms per chain-step | range | Gflop/s | time ÷ featherm | at equal arithmetic | compile, s |")
    print("|---|---|---|---|---|---|---|---|")
    for case in cases:
        points, inputs, width, _ = case
        label = ", ".join(map(str, case))
        ours = statistics.median(r["ms_per_chain_step"] for r in measured[case, "featherm"])
        rank = measured[case, "featherm"][0]["rank"]
        for name in (*OURS.values(), *PEERS):
            if name in skipped:
                print(f"| {label} | {name} | skipped: {skipped[name]} | | | | | |")
                continue
            runs = measured[case, name]
            times = [r["ms_per_chain_step"] for r in runs]
            compiled = statistics.median(r.get("compile_s", 0.0) for r in runs)
            time = statistics.median(times)
            ratio, equal = time / ours, time / ours * (1.0 if name in OURS.values() else rank / inputs)
            print(
                f"| {label} | {name} | {time:.4g} | {min(times):.4g}–{max(times):.4g} "
                f"| {4e-6 * points * inputs * width / time:.3g} | {ratio:.2f} | {equal:.2f} | {compiled:.1f} |"
            )


def theory_table(sweeps):
    print("\n| theory: P, temperatures | deepbays, s | a model for every T, s | featherm, s | ratio | largest ΔQ̄/Q̄ |")
    print("|---|---|---|---|---|---|")
    for points, run in sweeps.items():
        if "skipped" in run:
            print(f"| {points} | skipped: {run['skipped']} | | | | |")
            continue
        theirs, ours, worst = run["deepbays_s"], run["featherm_s"], run["largest_relative_difference_of_q_bar"]
        print(
            f"| {points}, {run['temperatures']} | {theirs:.3g} | {run['deepbays_model_each_s']:.3g} | {ours:.3g} "
            f"| {theirs / ours:.1f} | {worst:.1e} |"
        )


def main():
    chosen = options()
    binary = os.path.abspath(os.environ.get("FEATHERM", os.path.join(HERE, "../../target/release/featherm")))
    if not os.access(binary, os.X_OK):
        sys.exit(f"{binary} is missing: build it with `cargo build --release`, or name one: FEATHERM=PATH run.sh")
    common.limit_threads(chosen.threads)  # of all that is started from here
    cases, python = chosen.case or CASES, sys.executable
    skipped = control(python)
    settings = ["--seconds", str(chosen.seconds), "--threads", str(chosen.threads), "--activation", chosen.activation]
    theory_sizes = [int(n) for n in chosen.theory_points.split(",") if n]
    load = [os.getloadavg()[0]]
    measured, sweeps = {}, {}
    for round_number in range(chosen.rounds):
        for case in cases:
            runs = featherm(binary, case, chosen.activation)
            for name, script in PEERS.items():
                if name not in skipped:
                    runs[name] = call([python, *script, *sizes(case), *settings])
            for name, run in runs.items():
                measured.setdefault((case, name), []).append(run)
        load.append(os.getloadavg()[0])
        print(f"round {round_number + 1} of {chosen.rounds} done, load {load[-1]:.1f}", file=sys.stderr)
    for points in theory_sizes:
        command = [python, "peer_theory.py", "--points", str(points), "--threads", str(chosen.threads)]
        sweeps[points] = call([*command, "--featherm", binary])
    if chosen.json:
        with open(chosen.json, "w") as file:
            for run in (*(run for runs in measured.values() for run in runs), *sweeps.values()):
                file.write(json.dumps(run) + "\n")
    step_table(cases, measured, skipped)
    if sweeps:
        theory_table(sweeps)
    loads = ", ".join(f"{x:.1f}" for x in load)
    print(f"\nMedians of {chosen.rounds} rounds; {chosen.threads} threads, {chosen.activation}; load average {loads}.")


main()
