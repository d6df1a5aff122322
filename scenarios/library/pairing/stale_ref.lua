-- A code that is no longer on show is refused by the phone, and does no harm.
scenario {
  name = "a code that is gone is refused",
  tags = { "pairing", "qr" },
  server = { refs = { count = 4, first = "10s", rest = "10s", grace = "2s" } },
  loopback_scale = 1/20,
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
local first = device:await_qr { within = "1m" }
device:await_qr { within = "1m" }
local third = device:await_qr { within = "1m" }
expect.error(function() phone:scan(first) end):code("stale_ref")
expect(device.state):equals("waiting_for_scan")
phone:scan(third)
device:await("connected", { within = "1m" })
