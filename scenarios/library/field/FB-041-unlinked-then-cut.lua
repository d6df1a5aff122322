-- FB-041: "device_removed" is followed by the end of the socket; the second close overwrites the first
-- reason, and looks as if one could try again.
scenario {
  name = "the first reason counts: unlinked, then cut, is unlinked",
  tags = { "unlink", "401", "FB-041" },
  loopback_scale = 1/20,
  symptom = { "device_removed", "428 Connection Terminated by Server", "Stream Errored (conflict) 401" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
phone:unlink(device)                                   -- stream:error 401 device_removed, and the server closes
device:await("logged_out", { within = "1m" })
local connects = device.connects
expect(device.last_close.code):equals(401)
pause(mode == "sim" and "1h" or "20s")
expect(device.credentials):is_nil()
expect(device.connects):equals(connects)
expect(device.last_close.code):equals(401)
local times = 0
for _, word in ipairs(device.states) do if word == "logged_out" then times = times + 1 end end
expect(times):equals(1)
expect(device.qr):is_nil()
