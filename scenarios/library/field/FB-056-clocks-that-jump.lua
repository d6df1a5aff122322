-- FB-056: timers on the wall clock: a jump closes connections, or lets dead ones live.
-- Left to later: time stamps of webhooks.
scenario {
  name = "a wall clock that jumps moves no timer",
  tags = { "clock", "FB-056" },
  loopback_scale = 1/100,
  symptom = { "certificate not yet valid", "timestamps off by one hour" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "3m" })
device:await("connected", { within = "3m" })
for i, jump in ipairs { "1h", "-1h", "-1h", "1h" } do
  server:fault { id = "jump " .. i, fault = "clock", args = { jump = jump }, where = { device = device }, when = { manual = true } }:fire()
  pause(mode == "sim" and "3m" or "40s")
  expect(device.state):equals("connected")
end
expect(device.connects):equals(2)
local late = server:fault { fault = "server_time", args = { offset = "300s" }, where = { device = device } }
pause(mode == "sim" and "2m" or "40s")
expect(device.state):equals("connected")
expect(device.connects):equals(2)
