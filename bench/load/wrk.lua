-- What wrk sends: the body of a file, with the keys of another in turn. Arguments: the file of keys,
-- the file of the body, the path, and pairs of more headers.
local requests = {}
local position = 0
-- A prime, so that all keys come in an order that caches do not like.
local stride = 7919

function init(args)
  local file = assert(io.open(args[2], "rb"))
  local body = file:read("*a")
  file:close()
  for key in io.lines(args[1]) do
    local headers = {
      ["Host"] = "bench",
      ["Authorization"] = "Bearer " .. key,
      ["Content-Type"] = "application/json",
    }
    for index = 4, #args - 1, 2 do headers[args[index]] = args[index + 1] end
    requests[#requests + 1] = wrk.format("POST", args[3], headers, body)
  end
end

function request()
  position = (position + stride) % #requests
  return requests[position + 1]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"errors":%d,"seconds":%.6f,"p50Ms":%.3f,"p99Ms":%.3f}\n',
    summary.requests,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6,
    latency:percentile(50) / 1000,
    latency:percentile(99) / 1000
  ))
end
