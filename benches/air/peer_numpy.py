"""The whole chain in pandas and numpy, as fast as we could make it: hours of a lake to daily values,
AQI, annual items, validity, city means.

Vectorised throughout: Arrow reads and casts, pandas groups over categorical codes, numpy where a
day is a row of 24. One part at a time, so that memory stays bounded. Sums are integers of 10^-6
held in doubles and therefore exact; what is rounded by rule is divided once.
"""

import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import places
import rules_2026 as R


def hours(path):
    t = pq.read_table(path, columns=["subject", "indicator", "time", "value", "flag"], partitioning=None)
    t = t.filter(pc.field("flag") != "invalid")
    local = t["time"].cast(pa.int64()).to_numpy() + R.OFFSET_MS
    day = local // R.DAY_MS
    return pd.DataFrame(
        {
            "subject": t["subject"].to_pandas(),
            "indicator": t["indicator"].to_pandas().cat.set_categories(R.INDICATORS),
            "day": (day - R.FIRST_DAY).astype(np.int32),
            "hour": ((local - day * R.DAY_MS) // R.HOUR_MS).astype(np.int8),
            "micro": np.rint(pc.cast(t["value"], pa.float64()).to_numpy() * 1e6),
        }
    )


def windows(o3):
    """Highest 8-hour mean of each station day: sum and count of that window, windows at hand."""
    wide = o3.set_index(["subject", "day", "hour"])["micro"].unstack("hour").reindex(columns=range(24))
    x = wide.to_numpy()
    have = ~np.isnan(x)
    sums = np.cumsum(np.pad(np.where(have, x, 0.0), ((0, 0), (1, 0))), axis=1)
    counts = np.cumsum(np.pad(have, ((0, 0), (1, 0))), axis=1)
    s = sums[:, R.WINDOW_HOURS:] - sums[:, : -R.WINDOW_HOURS]
    n = counts[:, R.WINDOW_HOURS:] - counts[:, : -R.WINDOW_HOURS]
    good = n >= R.WINDOW_AT_LEAST
    mean = np.where(good, s / np.maximum(n, 1), -np.inf)
    best = mean.argmax(axis=1)
    rows = np.arange(len(best))
    out = pd.DataFrame({"sum": s[rows, best], "n": n[rows, best], "have": good.sum(axis=1)}, index=wide.index)
    return out[out["have"] > 0].reset_index()


def days(path):
    h = hours(path)
    means = (
        h[h["indicator"] != "O3"]
        .groupby(["subject", "indicator", "day"], observed=True, sort=False)["micro"]
        .agg(["sum", "count"])
        .reset_index()
        .rename(columns={"count": "n"})
    )
    means["valid"] = means["n"] >= R.HOURS_OF_A_DAY
    o3 = windows(h[h["indicator"] == "O3"])
    o3["indicator"] = pd.Categorical(["O3"] * len(o3), categories=R.INDICATORS)
    over = o3["sum"] > R.O3_LIMIT * R.KEEP["O3"] * o3["n"]
    o3["valid"] = (o3["have"] >= R.WINDOWS_OF_A_DAY) | over
    both = pd.concat([means, o3[means.columns]], ignore_index=True)
    both["subject"] = both["subject"].astype(str)
    return both


def sub_index(c, indicator):
    points = np.array(R.POINTS[indicator], dtype=float)
    index = np.array(R.IAQI[: len(points)], dtype=float)
    k = np.clip(np.searchsorted(points, c, side="left"), 1, len(points) - 1)
    rise = (index[k] - index[k - 1]) * (c - points[k - 1])
    out = index[k - 1] + np.ceil(rise / (points[k] - points[k - 1]))
    return np.where(c > points[-1], float(R.ABOVE[indicator]), out)


def indices(values):
    """`values[indicator]`: (place, day) arrays of kept decimals, NaN where not valid."""
    sub = np.stack([sub_index(values[i], i) for i in R.INDICATORS])
    sub[np.isnan(np.stack([values[i] for i in R.INDICATORS]))] = np.nan
    top = np.where(np.isnan(sub), -1.0, sub).max(axis=0)
    full = ~np.isnan(sub).any(axis=0)
    published = (top >= 0) & (full | (top > R.PUBLISH_INCOMPLETE_ABOVE))
    aqi = np.where(published, top, np.nan)
    level = np.searchsorted(R.LEVEL_FROM, np.where(published, top, 0), side="right").astype(float)
    level[~published | (level == 0)] = np.nan
    primary = (sub == aqi) & (aqi > R.PRIMARY_ABOVE)
    return sub, aqi, level, primary


def annual(exact, kept, month):
    """`exact`, `kept`: per indicator (place, day) arrays of valid values before and after rounding."""
    out = []
    for statistic, i, p, limit in R.ITEMS:
        x = pd.DataFrame(exact[i].T)
        k = pd.DataFrame(kept[i].T)
        count = x.notna().groupby(month).sum()
        need = np.where(count.index.to_numpy() == 2, R.DAYS_OF_FEBRUARY, R.DAYS_OF_A_MONTH)
        n = count.sum()
        valid = (n >= R.DAYS_OF_A_YEAR) & count.ge(need, axis=0).all()
        value = x.mean() if p is None else x.quantile(p / 100)
        rounded_first = k.mean() if p is None else k.quantile(p / 100)
        # A half in the last place is a half also after binary division.
        rounded = value.round(9).round()
        out.append(
            pd.DataFrame(
                {
                    "place": np.arange(x.shape[1]),
                    "indicator": i,
                    "statistic": statistic,
                    "days": n,
                    "valid": valid,
                    "value": value * R.KEEP[i] / 1e6,
                    "value_from_rounded_days": rounded_first * R.KEEP[i] / 1e6,
                    "rounded": rounded * R.KEEP[i] / 1e6,
                    "attained": rounded <= limit,
                    "short_months": count.lt(need, axis=0).sum(),
                }
            )
        )
    return pd.concat(out, ignore_index=True)


def run(lake):
    parts, ids, city_of, control = places.read(lake)
    d = pd.concat([days(p) for p in parts], ignore_index=True)
    d["station"] = pd.Index(ids).get_indexer(d["subject"])
    keep = d["indicator"].map(R.KEEP).astype(float)
    d["exact"] = d["sum"] / (d["n"] * keep)
    d = d[d["valid"]]
    station = {}
    for i in R.INDICATORS:
        x = d[d["indicator"] == i]
        grid = np.full((len(ids), R.DAYS), np.nan)
        grid[x["station"].to_numpy(), x["day"].to_numpy()] = x["exact"].to_numpy()
        station[i] = grid
    cities = sorted(set(city_of))
    member = pd.Series(city_of)[~np.array(control)]
    size = member.groupby(member).size().reindex(cities)
    need = np.ceil(size.to_numpy() * R.CITY_SHARE_PERCENT / 100)
    exact, kept = {}, {}
    for i in R.INDICATORS:
        g = pd.DataFrame(station[i]).loc[member.index].groupby(member)
        mean = g.mean().reindex(cities).to_numpy()
        enough = g.count().reindex(cities).to_numpy() >= need[:, None]
        exact[i] = np.vstack([station[i], np.where(enough, mean, np.nan)])
        kept[i] = np.round(np.round(exact[i], 9))
    sub, aqi, level, primary = indices(kept)
    month = pd.date_range("2016-01-01", periods=R.DAYS).month.to_numpy()
    items = annual(exact, kept, month)
    names = np.array(ids + cities)
    counts = pd.DataFrame(
        {
            "place": names,
            "published": (~np.isnan(aqi)).sum(axis=1),
            "good": (level <= 2).sum(axis=1),
            "heavy": (level >= 5).sum(axis=1),
        }
    )
    items["place"] = names[items["place"]]
    return names, exact, sub, aqi, level, primary, items, counts


def days_table(names, exact, sub, aqi, level, primary):
    n = len(names)
    out = {"place": np.repeat(names, R.DAYS), "day": np.tile(np.arange(R.DAYS) + R.FIRST_DAY, n)}
    for k, i in enumerate(R.INDICATORS):
        out[f"value_{i}"] = (exact[i] * R.KEEP[i] / 1e6).ravel()
        out[f"iaqi_{i}"] = sub[k].ravel()
    out["aqi"], out["level"] = aqi.ravel(), level.ravel()
    names_of = ["+".join(i for b, i in enumerate(R.INDICATORS) if m >> b & 1) for m in range(64)]
    bits = sum(primary[k].astype(int) << k for k in range(len(R.INDICATORS)))
    out["primary"] = np.array(names_of, dtype=object)[bits.ravel()]
    return pd.DataFrame(out)


def main():
    start = time.perf_counter()
    lake, items_path, counts_path, *days_path = sys.argv[1:]
    names, exact, sub, aqi, level, primary, items, counts = run(lake)
    items.to_csv(items_path, index=False)
    counts.to_csv(counts_path, index=False)
    if days_path:
        days_table(names, exact, sub, aqi, level, primary).to_parquet(days_path[0])
    print(f"pandas {pd.__version__}: {time.perf_counter() - start:.2f} s inside", file=sys.stderr)


if __name__ == "__main__":
    main()
