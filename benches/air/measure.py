"""Runs the programs in turn on the same files and prints one table, the ratios and the limit.

Whole processes are timed, from start to exit, results written: wall and processor seconds and the
peak of resident memory as the operating system accounts them to the finished process.
"""

import argparse
import glob
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version

# Nothing large is imported or held here: the system counts the memory of the parent at the moment
# of a child's start to the child's peak.
WHOLE_COUNTRY = 1_700 * 8_784 * 6
HERE = os.path.dirname(os.path.abspath(__file__))


def run(command, out=None):
    """Wall s, processor s, peak MB of one run."""
    start = time.perf_counter()
    with open(out or os.devnull, "wb") as stdout, open("stderr.txt", "wb") as stderr:
        child = subprocess.Popen(command, stdout=stdout, stderr=stderr)
        _, status, use = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if child.returncode:
        with open("stderr.txt", encoding="utf-8", errors="replace") as f:
            sys.exit(f"{command[0]} failed with {child.returncode}:\n{f.read()[-2000:]}")
    return wall, use.ru_utime + use.ru_stime, use.ru_maxrss / 1024


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "unknown")
    cores = sorted(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    print(f"machine: {model}, cores {cores} of {os.cpu_count()}, {memory:.0f} GB, Linux {platform.release()}")
    print(f"load when it began: {os.getloadavg()[0]:.1f} (other work on the cores lengthens wall times)")
    names = ("pandas", "polars", "pyarrow", "numpy")
    print(f"versions: {', '.join(f'{n} {version(n)}' for n in names)}, Python {platform.python_version()}")


def limit(lake):
    """What no program on these files can go below: bytes over bandwidth."""
    out = subprocess.run([sys.executable, os.path.join(HERE, "limit.py"), lake], check=True, capture_output=True)
    b = json.loads(out.stdout)
    decoded = b["rows"] * 16
    print(f"\nbytes: {b['disk'] / 1e6:.0f} MB on disk, {b['packed'] / 1e6:.0f} MB of it in time, value and flag ({b['unpacked'] / 1e6:.0f} MB unpacked); {b['rows']:,} values are {decoded / 1e6:.0f} MB once decoded (8 bytes of time, 8 of value)")
    print(f"bandwidth, one core: files from the page cache {b['file_bandwidth'] / 1e9:.1f} GB/s, memory {b['memory_bandwidth'] / 1e9:.1f} GB/s")
    bound = (b["packed"] / b["file_bandwidth"] + 2 * decoded / b["memory_bandwidth"]) / 2
    print(f"limit: packed bytes read once, decoded bytes written and read once, on two cores: {bound:.2f} s")
    return bound, b["rows"]


def rounds(programs, counts):
    results = {name: [] for name in programs}
    for i in range(max(counts.values())):
        for name, (command, out) in programs.items():
            if i < counts[name]:
                results[name].append(run(command, out))
                wall, cpu, peak = results[name][-1]
                print(f"  round {i + 1} {name}: {wall:.2f} s wall, {cpu:.2f} s processor, {peak:.0f} MB", file=sys.stderr)
    return results


def table(results, rows, bound):
    median = {n: [statistics.median(x) for x in zip(*r)] for n, r in results.items()}
    ours = median["miyun"]
    print("\n| program | runs | wall s (min - max) | processor s | peak MB | ns a value | wall / Miyun | processor / Miyun |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (wall, cpu, peak) in median.items():
        walls = [r[0] for r in results[name]]
        print(
            f"| {name} | {len(walls)} | {wall:.2f} ({min(walls):.2f} - {max(walls):.2f}) | {cpu:.2f} | {peak:.0f} "
            f"| {cpu / rows * 1e9:.1f} | {wall / ours[0]:.1f} | {cpu / ours[1]:.1f} |"
        )
    print("\nratios of wall seconds, round by round (a quiet machine is not needed for these):")
    for name in results:
        if name != "miyun":
            ratios = sorted(b[0] / a[0] for a, b in zip(results["miyun"], results[name]))
            print(f"  {name} / Miyun: median {statistics.median(ratios):.1f}, from {ratios[0]:.1f} to {ratios[-1]:.1f}")
    print(f"Miyun / limit: {ours[0] / bound:.1f}")
    if rows < WHOLE_COUNTRY:
        print("targets are for the whole country and are not judged on a smaller one")
        return
    for what, value, most in (("wall s", ours[0], 4.0), ("peak MB", ours[2], 1500.0)):
        print(f"target {what}: {value:.2f} of at most {most:.0f}: {'met' if value <= most else 'MISSED'}")
    for name, least in (("pandas", 15), ("polars", 3)):
        if name in median:
            ratio = median[name][0] / ours[0]
            print(f"target {name}: {ratio:.1f} times, at least {least}: {'met' if ratio >= least else 'MISSED'}")


def prsa(miyun, data, n):
    """CSV to report in a fresh lake."""
    import shutil

    files = sorted(glob.glob(os.path.join(data, "PRSA_*.csv*")))
    if not files:
        print(f"\nCSV to report: left out, no PRSA files in {data}")
        return
    results = []
    for _ in range(n + 1):
        shutil.rmtree("prsa-lake", ignore_errors=True)
        results.append(
            run([miyun, "--lake", "prsa-lake", "air", "evaluate", "--data", data, "--period", "2016", "--interval",
                 "hour-end", "--edition", "all", "--city", "beijing", "--report", "prsa-report.html"])
        )
    wall, cpu, peak = (statistics.median(x) for x in zip(*results[1:]))
    best = min(r[0] for r in results[1:])
    print(f"\nCSV to report, {len(files)} PRSA files, three editions, fresh lake, {n} runs: {wall:.2f} s wall (best {best:.2f}), {cpu:.2f} s processor, {peak:.0f} MB; target under 1 s: {'met' if wall < 1 else 'MISSED'}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--miyun", required=True)
    p.add_argument("--lake", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--prsa", default="")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--slow-rounds", type=int, default=3)
    a = p.parse_args()
    os.makedirs(a.work, exist_ok=True)
    os.chdir(a.work)
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    machine()
    bound, rows = limit(a.lake)
    ours = [a.miyun, "--lake", a.lake, "air", "region", "--period", "2016", "--edition", "2026", "--stations", "--format", "csv"]
    peer = lambda name: [sys.executable, os.path.join(HERE, f"peer_{name}.py"), a.lake, f"{name}-items.csv", f"{name}-counts.csv"]
    programs = {"miyun": (ours, "miyun-items.csv"), "polars": (peer("polars"), None), "numpy": (peer("numpy"), None), "pandas": (peer("pandas"), None)}
    counts = {"miyun": a.rounds, "polars": a.rounds, "numpy": a.slow_rounds, "pandas": a.slow_rounds}
    table(rounds(programs, counts), rows, bound)
    print("\nresults, with every day written:")
    run([*ours, "--days", "miyun-days.parquet"], "miyun-items.csv")
    for name in ("polars", "numpy", "pandas"):
        run([*peer(name), f"{name}-days.parquet"])
    sys.stdout.flush()
    differ = subprocess.call([sys.executable, os.path.join(HERE, "compare.py"), "."])
    print("\nother programs on the lake's files:")
    sys.stdout.flush()
    differ |= subprocess.call([sys.executable, os.path.join(HERE, "readers.py"), a.lake])
    if a.prsa:
        prsa(a.miyun, a.prsa, a.rounds)
    return differ


if __name__ == "__main__":
    sys.exit(main())
