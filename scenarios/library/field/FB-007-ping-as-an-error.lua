-- FB-007: the first login after pairing is answered by a stream:error with a <ping/>: a child that no
-- client knows, and for some numbers only.
scenario {
  name = "an unknown stream error ends a login, not the pairing",
  tags = { "pairing", "login", "FB-007" },
  loopback_scale = 1/50,
  symptom = { "Unknown stream error", "<stream:error><ping" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
server:fault {
  fault = "stream_error", args = { child = "ping" }, where = { device = device }, when = { on_event = "login" }, budget = 2,
}
device:start()
phone:scan(device:await_qr { within = "2m" })
device:await("connecting", { reason = "finishing", within = "2m" })
local earned = device.credentials
device:await("connected", { within = "2m" })           -- by itself
expect(device.connects):at_most(4)
expect(device.credentials):equals(earned)
expect.never(device, "logged_out")
