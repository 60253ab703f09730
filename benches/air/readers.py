"""Opens a lake's Parquet files with DuckDB, pyarrow, pandas and Polars, and compares what each sees.

`readers.py LAKE [PARTS]`: at most PARTS parts (3 if not given). A reader that is not installed is
named and left out; exit code 1 if two readers disagree, or one with what the commits say.
"""

import glob
import json
import os
import sys
from decimal import Decimal

DECIMAL = Decimal("0.000001")


def parts(lake, most):
    out, rows = [], 0
    for path in sorted(glob.glob(os.path.join(lake, "commits", "*.json"))):
        with open(path, encoding="utf-8") as f:
            for p in json.load(f)["parts"]:
                if len(out) < most:
                    out.append(os.path.join(lake, p["path"]))
                    rows += p["rows"]
    return out, rows


def duckdb(paths):
    import duckdb

    sql = """select cast(indicator as varchar), count(*), sum(value), epoch_ms(min(time)), epoch_ms(max(time)),
             sum(cast(cast(flag as varchar) = 'invalid' as integer)) from read_parquet(?) group by 1 order by 1"""
    return duckdb.__version__, [tuple(r) for r in duckdb.execute(sql, [paths]).fetchall()]


def pyarrow(paths):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    t = pa.concat_tables([pq.read_table(p, partitioning=None) for p in paths], promote_options="permissive")
    t = t.append_column("ms", t["time"].cast(pa.int64()))
    t = t.append_column("word", t["indicator"].cast(pa.string()))
    t = t.append_column("bad", pc.equal(t["flag"].cast(pa.string()), "invalid").cast(pa.int64()))
    g = t.group_by("word").aggregate([("value", "count"), ("value", "sum"), ("ms", "min"), ("ms", "max"), ("bad", "sum")])
    return pa.__version__, sorted(
        (r["word"], r["value_count"], r["value_sum"], r["ms_min"], r["ms_max"], r["bad_sum"]) for r in g.to_pylist()
    )


def pandas(paths):
    import pandas as pd

    columns = ["indicator", "time", "value", "flag"]
    d = pd.concat([pd.read_parquet(p, columns=columns, dtype_backend="pyarrow", partitioning=None) for p in paths])
    d["indicator"] = d["indicator"].astype(str)
    d["bad"] = d["flag"].astype(str) == "invalid"
    out = []
    for name, g in d.groupby("indicator"):
        ms = [int(t.timestamp() * 1000) for t in (g["time"].min(), g["time"].max())]
        out.append((name, len(g), g["value"].sum(), *ms, int(g["bad"].sum())))
    return pd.__version__, out


def polars(paths):
    import polars as pl

    d = (
        pl.scan_parquet(paths, hive_partitioning=False)
        .group_by(pl.col("indicator").cast(pl.String))
        .agg(
            pl.len(),
            pl.col("value").sum(),
            pl.col("time").cast(pl.Int64).min().alias("low"),
            pl.col("time").cast(pl.Int64).max().alias("high"),
            (pl.col("flag").cast(pl.String) == "invalid").sum().alias("bad"),
        )
        .collect()
    )
    return pl.__version__, sorted(d.rows())


def main(lake, most=3):
    paths, rows = parts(lake, int(most))
    first, bad = None, False
    for reader in (duckdb, pyarrow, pandas, polars):
        try:
            version, seen = reader(paths)
        except ImportError as e:
            print(f"{reader.__name__}: left out, {e}")
            continue
        seen = [(n, int(c), Decimal(str(s)).quantize(DECIMAL), int(a), int(b), int(x)) for n, c, s, a, b, x in seen]
        same = sum(r[1] for r in seen) == rows and seen == (first or seen)
        first, bad = first or seen, bad or not same
        print(f"{reader.__name__} {version}: {len(paths)} parts, {rows:,} rows, {len(seen)} indicators: {'same' if same else seen}")
    if first is None:
        print("no reader is installed; nothing was compared")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
