"""The whole chain in Polars: hours of a lake to daily values, AQI, annual items, validity, city means.

One lazy query per part, run by the streaming engine on all cores; only the five columns needed are
read, the flag is tested on its dictionary, groups are on categories. The lake states that a part is
sorted by subject, indicator and time with one row for every hour, so that a rolling sum needs no
join. Sums are integers of 10^-6 and therefore exact; what is rounded by rule is divided once.
"""

import sys
import time

import polars as pl

import places
import rules_2026 as R

KEYS = ["subject", "indicator", "day"]


def hours(path):
    local = pl.col("time").cast(pl.Int64) + R.OFFSET_MS
    return pl.scan_parquet(path, hive_partitioning=False).select(
        "subject",
        "indicator",
        (local // R.DAY_MS - R.FIRST_DAY).cast(pl.Int16).alias("day"),
        (local % R.DAY_MS // R.HOUR_MS).cast(pl.Int8).alias("hour"),
        pl.when(pl.col("flag") != "invalid")
        .then((pl.col("value").cast(pl.Float64) * 1e6).round().cast(pl.Int64))
        .alias("micro"),
    )


def days(path):
    h = hours(path)
    means = (
        h.filter(pl.col("indicator") != "O3")
        .group_by(KEYS)
        .agg(pl.col("micro").sum().alias("sum"), pl.col("micro").count().alias("n").cast(pl.Int64))
        .with_columns((pl.col("n") >= R.HOURS_OF_A_DAY).alias("valid"))
    )
    # Windows lie inside the day: those that end at 08:00 to 24:00, rows of the hours 7 to 23.
    w = R.WINDOW_HOURS
    enough = pl.col("n8") >= R.WINDOW_AT_LEAST
    o3 = (
        h.filter(pl.col("indicator") == "O3")
        .with_columns(
            pl.col("micro").fill_null(0).rolling_sum(w).alias("s8"),
            pl.col("micro").is_not_null().cast(pl.Int64).rolling_sum(w).alias("n8"),
        )
        .filter((pl.col("hour") >= w - 1) & enough)
        .with_columns((pl.col("s8") / pl.col("n8")).alias("mean"))
        .group_by(KEYS)
        .agg(
            pl.col("mean").max(),
            pl.len().alias("have"),
        )
        .with_columns(
            (
                (pl.col("have") >= R.WINDOWS_OF_A_DAY)
                | (pl.col("mean") > R.O3_LIMIT * R.KEEP["O3"])
            ).alias("valid")
        )
        .select(*KEYS, pl.col("mean"), "valid")
    )
    means = means.select(*KEYS, (pl.col("sum") / pl.col("n")).alias("mean"), "valid")
    return pl.concat([means, o3]).filter("valid").drop("valid").with_columns(
        pl.col("subject").cast(pl.String), pl.col("indicator").cast(pl.String)
    )


def sub_index(c, indicator):
    points, index = R.POINTS[indicator], R.IAQI
    out = pl.lit(R.ABOVE[indicator], dtype=pl.Int64)
    for k in reversed(range(1, len(points))):
        rise = (index[k] - index[k - 1]) * (c - points[k - 1]) / (points[k] - points[k - 1])
        out = pl.when(c <= points[k]).then(index[k - 1] + rise.ceil().cast(pl.Int64)).otherwise(out)
    return pl.when(c.is_not_null()).then(out)


def annual(d):
    """`d`: place, indicator, day, exact, kept of valid days."""
    month = pl.lit(pl.Series("month", [m for m in months()], dtype=pl.Int8)).gather(pl.col("day"))
    need = pl.when(pl.col("month") == 2).then(R.DAYS_OF_FEBRUARY).otherwise(R.DAYS_OF_A_MONTH)
    by_month = (
        d.with_columns(month.alias("month"))
        .group_by("place", "indicator", "month")
        .agg(pl.len().alias("n"))
        .group_by("place", "indicator")
        .agg((pl.col("n") >= need).sum().alias("whole_months"))
    )
    p = sorted({p for _, _, p, _ in R.ITEMS if p})
    wide = (
        d.group_by("place", "indicator")
        .agg(
            pl.len().alias("days"),
            *[
                e
                for c in ("exact", "kept")
                for e in (
                    pl.col(c).mean().alias(f"{c}_mean"),
                    *[pl.col(c).quantile(q / 100, "linear").alias(f"{c}_{q}") for q in p],
                )
            ],
        )
        .join(by_month, on=["place", "indicator"])
    )
    items = []
    for statistic, i, q, limit in R.ITEMS:
        s = q or "mean"
        keep = R.KEEP[i] / 1e6
        rounded = pl.col(f"exact_{s}").round(9).round()
        items.append(
            wide.filter(pl.col("indicator") == i).select(
                "place",
                "indicator",
                pl.lit(statistic).alias("statistic"),
                "days",
                ((pl.col("days") >= R.DAYS_OF_A_YEAR) & (pl.col("whole_months") == 12)).alias("valid"),
                (pl.col(f"exact_{s}") * keep).alias("value"),
                (pl.col(f"kept_{s}") * keep).alias("value_from_rounded_days"),
                (rounded * keep).alias("rounded"),
                (rounded <= limit).alias("attained"),
                (12 - pl.col("whole_months")).alias("short_months"),
            )
        )
    return pl.concat(items)


def months():
    for m, n in enumerate([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], start=1):
        yield from [m] * n


def run(lake):
    parts, ids, city_of, control = places.read(lake)
    station = pl.LazyFrame({"subject": ids, "city": city_of, "control": control})
    members = station.filter(~pl.col("control")).group_by("city").agg(pl.len().alias("members"))
    keep = pl.col("indicator").replace_strict(R.KEEP, return_dtype=pl.Float64)
    daily = pl.concat(pl.collect_all([days(p) for p in parts], engine="streaming")).lazy()
    stations = daily.select(pl.col("subject").alias("place"), "indicator", "day", (pl.col("mean") / keep).alias("exact"))
    share = pl.col("n") * 100 >= pl.col("members") * R.CITY_SHARE_PERCENT
    cities = (
        stations.join(station.filter(~pl.col("control")), left_on="place", right_on="subject")
        .group_by("city", "indicator", "day")
        .agg(pl.col("exact").mean(), pl.len().alias("n"))
        .join(members, on="city")
        .filter(share)
        .select(pl.col("city").alias("place"), "indicator", "day", "exact")
    )
    # A half in the last place is a half also after binary division.
    all_days = (
        pl.concat([stations, cities])
        .with_columns(pl.col("exact").round(9).round().alias("kept"))
        .collect(engine="streaming")
        .lazy()
    )
    wide = all_days.group_by("place", "day").agg(
        *[
            pl.col(c).filter(pl.col("indicator") == i).first().alias(f"{c}_{i}")
            for c in ("exact", "kept")
            for i in R.INDICATORS
        ]
    )
    sub = [pl.col(f"iaqi_{i}") for i in R.INDICATORS]
    top = pl.max_horizontal(sub)
    published = pl.all_horizontal([s.is_not_null() for s in sub]) | (top > R.PUBLISH_INCOMPLETE_ABOVE)
    level = pl.sum_horizontal([(pl.col("aqi") >= low).cast(pl.Int8) for low in R.LEVEL_FROM])
    leads = [
        pl.when((s == pl.col("aqi")) & (pl.col("aqi") > R.PRIMARY_ABOVE)).then(pl.lit(i))
        for s, i in zip(sub, R.INDICATORS)
    ]
    index = (
        wide.with_columns([sub_index(pl.col(f"kept_{i}"), i).alias(f"iaqi_{i}") for i in R.INDICATORS])
        .with_columns(pl.when(published).then(top).alias("aqi"))
        .with_columns(
            pl.when(pl.col("aqi").is_not_null()).then(level).alias("level"),
            pl.concat_str(leads, separator="+", ignore_nulls=True).alias("primary"),
        )
    )
    counts = index.group_by("place").agg(
        pl.col("aqi").count().alias("published"),
        (pl.col("level") <= 2).sum().alias("good"),
        (pl.col("level") >= 5).sum().alias("heavy"),
    )
    index, items, counts = pl.collect_all([index, annual(all_days), counts], engine="streaming")
    return index, items, counts


def days_table(index):
    return index.select(
        "place",
        (pl.col("day").cast(pl.Int64) + R.FIRST_DAY).alias("day"),
        *[(pl.col(f"exact_{i}") * (R.KEEP[i] / 1e6)).alias(f"value_{i}") for i in R.INDICATORS],
        *[f"iaqi_{i}" for i in R.INDICATORS],
        "aqi",
        "level",
        "primary",
    )


if __name__ == "__main__":
    start = time.perf_counter()
    lake, items_path, counts_path, *days_path = sys.argv[1:]
    index, items, counts = run(lake)
    items.write_csv(items_path)
    counts.write_csv(counts_path)
    if days_path:
        days_table(index).write_parquet(days_path[0])
    print(f"polars {pl.__version__}: {time.perf_counter() - start:.2f} s inside", file=sys.stderr)
