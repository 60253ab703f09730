"""Bytes of a lake and the bandwidths of this machine, as JSON."""

import json
import os
import sys
import time

import numpy as np
import pyarrow.parquet as pq

import places


def seconds(work, times):
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def read_through(paths):
    buffer = bytearray(1 << 20)
    for path in paths:
        with open(path, "rb", buffering=0) as f:
            while f.readinto(buffer):
                pass


def main(lake):
    parts, *_ = places.read(lake)
    disk = packed = unpacked = rows = 0
    for path in parts:
        disk += os.path.getsize(path)
        meta = pq.read_metadata(path)
        rows += meta.num_rows
        for g in range(meta.num_row_groups):
            for c in range(meta.num_columns):
                column = meta.row_group(g).column(c)
                if column.path_in_schema in ("time", "value", "flag"):
                    packed += column.total_compressed_size
                    unpacked += column.total_uncompressed_size
    block = np.ones(1 << 26)
    print(
        json.dumps(
            {
                "disk": disk,
                "packed": packed,
                "unpacked": unpacked,
                "rows": rows,
                "file_bandwidth": disk / seconds(lambda: read_through(parts), 3),
                # A sum reads every byte once.
                "memory_bandwidth": block.nbytes / seconds(block.sum, 7),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
