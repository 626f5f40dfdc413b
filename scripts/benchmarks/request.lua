-- For wrk: sends one POST request that environment variables describe, and prints the times of the answers as JSON.
local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds; long microseconds; } moment; int gettimeofday(moment *, void *);")
local now = ffi.new("moment")

local file = assert(io.open(os.getenv("BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = os.getenv("CONTENT_TYPE")
if os.getenv("TOKEN") then wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN") end

local threads = {}
function setup(thread) table.insert(threads, thread) end

function init() answered = {} end

function response(status)
  if status == 200 then
    ffi.C.gettimeofday(now, nil)
    table.insert(answered, tonumber(now.seconds) + tonumber(now.microseconds) / 1e6)
  end
end

function done(summary, latency)
  local errors = summary.errors
  local failures = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  local times = {}
  for _, thread in ipairs(threads) do
    for _, moment in ipairs(thread:get("answered")) do table.insert(times, string.format("%.6f", moment)) end
  end
  io.write(string.format(
    '{"failures": %d, "p50": %f, "p95": %f, "p99": %f, "answered": [%s]}\n', failures,
    latency:percentile(50) / 1e6, latency:percentile(95) / 1e6, latency:percentile(99) / 1e6,
    table.concat(times, ", ")))
end
