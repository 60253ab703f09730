"""The numbers of edition 2026 (class 2, transitional stage) that both peer programs use.

They repeat rulebook/air/{gb-3095-2026,hj-633-2026,hj-663-2026}.toml; the run
compares every result, so a slip here shows.
"""

INDICATORS = ["CO", "NO2", "O3", "PM10", "PM2.5", "SO2"]
# 10^-6 units in the last decimal that is kept: ug/m3 to integers, CO (mg/m3) to tenths.
KEEP = {"CO": 100_000, "NO2": 1_000_000, "O3": 1_000_000, "PM10": 1_000_000, "PM2.5": 1_000_000, "SO2": 1_000_000}
HOURS_OF_A_DAY = 20
WINDOW_HOURS, WINDOW_AT_LEAST, WINDOWS_OF_A_DAY = 8, 6, 14
O3_LIMIT = 160
IAQI = [0, 50, 100, 150, 200, 300, 400, 500]
# In kept decimals (CO in tenths). Above the last point: the last index, ozone 300.
POINTS = {
    "SO2": [0, 50, 150, 475, 800, 1600, 2100, 2620],
    "NO2": [0, 40, 80, 180, 280, 565, 750, 940],
    "CO": [0, 20, 40, 140, 240, 360, 480, 600],
    "O3": [0, 100, 160, 215, 265, 800],
    "PM10": [0, 50, 120, 250, 350, 420, 500, 600],
    "PM2.5": [0, 35, 60, 115, 150, 250, 350, 500],
}
ABOVE = {"SO2": 500, "NO2": 500, "CO": 500, "O3": 300, "PM10": 500, "PM2.5": 500}
LEVEL_FROM = [1, 51, 101, 151, 201, 301]
PRIMARY_ABOVE, PUBLISH_INCOMPLETE_ABOVE = 50, 100
# statistic, indicator, percentile (None: mean), limit in kept decimals
ITEMS = [
    ("annual-mean", "SO2", None, 60),
    ("annual-p98", "SO2", 98, 150),
    ("annual-mean", "NO2", None, 40),
    ("annual-p98", "NO2", 98, 80),
    ("annual-mean", "PM10", None, 60),
    ("annual-p95", "PM10", 95, 120),
    ("annual-mean", "PM2.5", None, 30),
    ("annual-p95", "PM2.5", 95, 60),
    ("annual-p95", "CO", 95, 40),
    ("annual-p90", "O3", 90, 160),
]
DAYS_OF_A_YEAR, DAYS_OF_A_MONTH, DAYS_OF_FEBRUARY = 324, 27, 25
CITY_SHARE_PERCENT = 75
FIRST_DAY, DAYS = 16_801, 366  # 2016-01-01 as days since 1970-01-01
OFFSET_MS, DAY_MS, HOUR_MS = 8 * 3_600_000, 86_400_000, 3_600_000
