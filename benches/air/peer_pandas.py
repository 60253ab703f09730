"""The chain in pandas as an analyst writes it: read_parquet, time zones, groupby, pivot, rolling.

Only the way from hours to days differs from `peer_numpy.py`, which spells it in numpy; that is
where nearly all of the time goes. From the days on both are one program.
"""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import peer_numpy
import rules_2026 as R


def hours(path):
    t = pq.read_table(path, columns=["subject", "indicator", "time", "value", "flag"], partitioning=None)
    # As decimals they would be Python objects.
    t = t.set_column(3, "value", t["value"].cast(pa.float64()))
    h = t.to_pandas()
    h = h[h["flag"] != "invalid"]
    local = h["time"].dt.tz_convert("Asia/Shanghai").dt.tz_localize(None)
    return h.assign(day=local.dt.normalize(), hour=local.dt.hour, micro=(h["value"] * 1e6).round())


def windows(o3):
    """Highest 8-hour mean of each station day, and windows at hand."""
    wide = o3.pivot(index=["subject", "day"], columns="hour", values="micro").reindex(columns=range(24))
    mean = wide.T.rolling(R.WINDOW_HOURS, min_periods=R.WINDOW_AT_LEAST).mean().iloc[R.WINDOW_HOURS - 1 :]
    out = pd.DataFrame({"sum": mean.max(), "n": 1, "have": mean.count()})
    return out[out["have"] > 0].reset_index()


def days(path):
    h = hours(path)
    means = (
        h[h["indicator"] != "O3"]
        .groupby(["subject", "indicator", "day"], observed=True)["micro"]
        .agg(["sum", "count"])
        .reset_index()
        .rename(columns={"count": "n"})
    )
    means["valid"] = means["n"] >= R.HOURS_OF_A_DAY
    o3 = windows(h[h["indicator"] == "O3"])
    o3["indicator"] = "O3"
    over = o3["sum"] > R.O3_LIMIT * R.KEEP["O3"] * o3["n"]
    o3["valid"] = (o3["have"] >= R.WINDOWS_OF_A_DAY) | over
    both = pd.concat([means.astype({"indicator": str}), o3[means.columns]], ignore_index=True)
    both["day"] = (both["day"] - pd.Timestamp("1970-01-01")).dt.days - R.FIRST_DAY
    both["subject"] = both["subject"].astype(str)
    return both


if __name__ == "__main__":
    peer_numpy.days = days
    peer_numpy.main()
