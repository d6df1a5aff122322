-- FB-012: the window ended silently, the user scans the frozen picture, and the phone waits forever.
-- Left to later: the gateway's 410 for the picture, and the page that says so.
scenario {
  name = "after the last code the device says so, and no code is shown",
  tags = { "pairing", "qr", "FB-012" },
  server = { refs = { count = 6, first = "1s", rest = "1s" } },
  loopback_scale = 1/20,
  symptom = { "waiting for the other device" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device("shop-1", { auto_renew_qr = 0 })

device:start()
local last
for ref = 1, 6 do last = device:await_qr { within = "1m" } end
device:await("qr_expired", { within = "1m" })
expect(device.qr):is_nil()
server:await("closed", { device = device, within = "1m" })
expect.error(function() phone:scan(last) end):code("stale_ref")   -- a late scan does no harm
pause(mode == "sim" and "1h" or "10s")
expect(device.state):equals("qr_expired")
expect(device.states):equals { "connecting", "waiting_for_scan", "qr_expired" }
expect(#device:history("qr")):equals(6)

-- Whoever asks again gets a new window.
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
