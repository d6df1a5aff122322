-- FB-033: the peer vanishes without a FIN; writes go into a buffer, and for hours nobody notices.
-- Left to later: sends of a user meanwhile, and that they are sent again.
scenario {
  name = "a stream without an answer is given up within 45 seconds",
  tags = { "keepalive", "FB-033" },
  loopback_scale = 1/20,
  symptom = { "Keepalive timed out", "silent disconnect" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
local earned = device.credentials
local dark = server:fault { fault = "blackhole", where = { device = device }, when = { manual = true }, heal = { on_event = "connected" } }
dark:fire()
device:await("connecting", { within = mode == "sim" and "45s" or "2m" })
device:await("connected", { within = "1m" })           -- at once, on a new stream
expect(device.connects):equals(3)
expect(device.credentials):equals(earned)
