-- FB-029: 90,173 reconnects in one hour: back-off that is attached to the connect, or forgotten as soon as
-- a connection was open for a moment.
scenario {
  name = "closes right after every login are bounded",
  tags = { "reconnect", "FB-029" },
  loopback_scale = 1/100,
  symptom = { "reason=408", "Too many reconnect attempts", "428 Connection Terminated" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "4m" })
device:await("connected", { within = "4m" })
local earned = device.credentials
local before = device.connects
server:fault {
  fault = "close", where = { device = device }, when = { on_event = "success", after = "200ms" }, budget = 100000,
}
server:fault { fault = "close", where = { device = device }, when = { manual = true }, id = "first" }:fire()
pause(mode == "sim" and "10m" or "2m")
local connects = device.connects - before
expect(connects):at_most(25)
expect(connects):at_least(4)

-- The delays grow, and none is like the one before it.
local times = server:history("connected", { device = device })
local longest, same = 0, 0
for i = before + 2, #times do
  local delay = times[i].at - times[i - 1].at
  longest = math.max(longest, delay)
  if i > before + 2 and math.abs(delay - (times[i - 1].at - times[i - 2].at)) < 1e-6 then same = same + 1 end
end
expect(same):equals(0)
if mode == "sim" then expect(longest):at_least(25) end
expect(device.credentials):equals(earned)
