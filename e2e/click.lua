-- 200 visitors who click: each waits half a second to a second and a half between two pages.
-- wrk -t2 -c200 -d30 --latency -s click.lua http://127.0.0.1:8212
local pages = { "/zh/", "/en/", "/zh/", "/en/" }
if os.getenv("PAGES") then
  pages = {}
  for p in string.gmatch(os.getenv("PAGES"), "%S+") do pages[#pages + 1] = p end
end
local headers = { ["Accept-Encoding"] = "br, gzip", ["Accept"] = "text/html" }
function init() math.randomseed(os.time()) end
function delay() return math.random(500, 1500) end
function request() return wrk.format("GET", pages[math.random(#pages)], headers) end
function done(summary, latency)
  io.write(string.format("requests %d, errors %d, p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
    summary.requests, summary.errors.status + summary.errors.timeout + summary.errors.connect + summary.errors.read,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
