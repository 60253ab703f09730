"""Compares the results of the programs: every figure of every place, every day and index."""

import sys

import polars as pl

import rules_2026 as R

STATISTIC = {i: ("daily-max-8h" if i == "O3" else "daily-mean") for i in R.INDICATORS}
failures = 0


def check(what, same, n):
    global failures
    if same == n:
        print(f"  {what}: {n:,} equal")
    else:
        failures += 1
        print(f"  {what}: {n - same:,} of {n:,} DIFFER")


def equal(a, b):
    return (a == b) | (a.is_null() & b.is_null())


def close(a, b, within):
    return ((a - b).abs() <= within) | (a.is_null() & b.is_null())


def items(ours, theirs):
    ours = ours.filter(pl.col("statistic").is_in([s for s, *_ in R.ITEMS])).select(
        "place",
        "indicator",
        "statistic",
        pl.col("days").cast(pl.Int64),
        pl.col("unrounded").cast(pl.Float64).alias("value"),
        pl.col("value").cast(pl.Float64).alias("rounded"),
        (pl.col("verdict") != "insufficient").alias("valid"),
        pl.col("verdict"),
        pl.when(pl.col("missing").fill_null("") == "")
        .then(0)
        .otherwise(pl.col("missing").str.count_matches(";") + 1)
        .cast(pl.Int64)
        .alias("short_months"),
    )
    theirs = theirs.with_columns(pl.col("days").cast(pl.Int64), pl.col("short_months").cast(pl.Int64))
    j = ours.join(theirs, on=["place", "indicator", "statistic"], how="full", suffix="_2")
    n = j.height
    check("days", equal(j["days"], j["days_2"]).sum(), n)
    check("short months", equal(j["short_months"], j["short_months_2"]).sum(), n)
    check("validity", equal(j["valid"], j["valid_2"]).sum(), n)
    check("values, to the sixth decimal", close(j["value"], j["value_2"], 1.000001e-6).sum(), n)
    check("rounded values", close(j["rounded"], j["rounded_2"], 1e-9).sum(), n)
    v = j.filter("valid")
    check("verdicts", ((v["verdict"] == "attained") == v["attained"]).sum(), v.height)


def counts(ours, theirs):
    for name, indicator in (("good", "good-days"), ("heavy", "heavy-days")):
        o = ours.filter(pl.col("indicator") == indicator).select("place", pl.col("value").cast(pl.Int64), "days")
        j = o.join(theirs, on="place", how="full")
        check(f"{name} days", equal(j["value"], j[name].cast(pl.Int64)).sum(), j.height)
    check("published days", equal(j["days"].cast(pl.Int64), j["published"].cast(pl.Int64)).sum(), j.height)


def day_table(ours, theirs):
    ours = ours.select(
        pl.col("place").cast(pl.String),
        pl.col("day").cast(pl.Int32).cast(pl.Int64),
        *[pl.col(f"value_{i}_{STATISTIC[i]}").cast(pl.Float64).alias(f"value_{i}") for i in R.INDICATORS],
        *[pl.col(f"iaqi_{i}_{STATISTIC[i]}").alias(f"iaqi_{i}") for i in R.INDICATORS],
        "aqi",
        "level",
        pl.col("primary").cast(pl.String).fill_null(""),
    )
    theirs = theirs.with_columns(pl.col("primary").fill_null(""), pl.col("day").cast(pl.Int64)).fill_nan(None)
    j = ours.join(theirs, on=["place", "day"], how="left", suffix="_2")
    n, same_values, same_sub = j.height, 0, 0
    for i in R.INDICATORS:
        same_values += close(j[f"value_{i}"], j[f"value_{i}_2"], 1.000001e-6).sum()
        same_sub += equal(j[f"iaqi_{i}"], j[f"iaqi_{i}_2"].cast(pl.Int64)).sum()
    check("daily values, to the sixth decimal", same_values, n * len(R.INDICATORS))
    check("sub-indices", same_sub, n * len(R.INDICATORS))
    check("indices", equal(j["aqi"], j["aqi_2"].cast(pl.Int64)).sum(), n)
    check("levels", equal(j["level"], j["level_2"].cast(pl.Int64)).sum(), n)
    check("primary pollutants", (j["primary"] == j["primary_2"].fill_null("")).sum(), n)


def main(folder):
    ours = pl.read_csv(f"{folder}/miyun-items.csv", infer_schema_length=None)
    days = pl.read_parquet(f"{folder}/miyun-days.parquet")
    for peer in ("pandas", "numpy", "polars"):
        print(f"Miyun and {peer}:")
        items(ours, pl.read_csv(f"{folder}/{peer}-items.csv", infer_schema_length=None))
        counts(ours, pl.read_csv(f"{folder}/{peer}-counts.csv", infer_schema_length=None))
        day_table(days, pl.read_parquet(f"{folder}/{peer}-days.parquet"))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
