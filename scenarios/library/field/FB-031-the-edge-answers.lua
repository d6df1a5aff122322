-- FB-031: the edge answers the upgrade with 503, 403 or nothing; the client stands in "initializing" for
-- hours, or takes the 403 for a logout.
scenario {
  name = "whatever the edge answers, the device comes back and keeps its account",
  tags = { "connection", "upgrade", "FB-031" },
  loopback_scale = 1/200,
  symptom = { "Opening handshake has timed out", "Unexpected server response: 503", "Unexpected server response: 403" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "8m" })
device:await("connected", { within = "8m" })
local earned = device.credentials
for _, answer in ipairs { { status = 503 }, { status = 403 }, { status = 401 }, { hang = true } } do
  local edge = server:fault { fault = "upgrade", args = answer, where = { device = device }, when = { nth = 1 } }
  local cut = server:fault { fault = "close", where = { device = device }, when = { manual = true } }
  cut:fire()
  local state = device:await("connecting", { within = "8m" })
  device:await("connected", { within = "8m" })
  expect(edge.fired):equals(1)
  expect(device.credentials):equals(earned)
  edge:remove() cut:remove()
  pause("61s")
end
expect.never(device, "logged_out")
