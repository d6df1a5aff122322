-- FB-030: one blip becomes 35 connects: the end is heard twice, and each of them starts a reconnect.
scenario {
  name = "an end that is heard twice is one end",
  tags = { "reconnect", "FB-030" },
  loopback_scale = 1/100,
  symptom = { "MaxListenersExceededWarning", "reconnect storm" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
for round = 1, mode == "sim" and 10 or 3 do
  local before = device.connects
  local error = server:fault { fault = "stream_error", args = { code = 503 }, where = { device = device }, when = { manual = true } }
  local reset = server:fault { fault = "close", args = { how = "rst" }, where = { device = device }, when = { manual = true }, optional = true }
  error:fire()
  pcall(function() reset:fire() end)                   -- the stream may be gone already
  device:await("connected", { within = "2m" })
  expect(device.connects):equals(before + 1)
  expect(device.streams):equals(1)
  error:remove() reset:remove()
  pause("61s")                                         -- a stable connection forgets the back-off
end
