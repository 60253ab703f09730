"""Parts and places of a lake, from its commits."""

import glob
import json
import os


def read(lake):
    """Paths of the parts, and per station: id, city, whether the city mean leaves it out."""
    parts, stations = [], {}
    for path in sorted(glob.glob(os.path.join(lake, "commits", "*.json"))):
        with open(path, encoding="utf-8") as f:
            commit = json.load(f)
        parts += [os.path.join(lake, p["path"]) for p in commit["parts"]]
        for s in commit["subjects"]:
            if s["kind"] == "station":
                stations[s["id"]] = (s["part_of"], s.get("control", False))
    ids = sorted(stations)
    return parts, ids, [stations[i][0] for i in ids], [stations[i][1] for i in ids]
