-- FB-028: authenticated, but never ready; the page still shows the code after pairing.
-- Left to later: a page that reconnects in the middle.
scenario {
  name = "a login that never succeeds ends as a failed pairing, not in silence",
  tags = { "pairing", "login", "FB-028" },
  loopback_scale = 1/100,
  symptom = { "LOADING SCREEN 100", "authenticated but never ready" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
server:fault { fault = "withhold", args = { stanza = "success" }, where = { device = device } }

device:start()
phone:scan(device:await_qr { within = "4m" })
device:await("connecting", { reason = "finishing", within = "4m" })
expect(device.qr):is_nil()                             -- gone with the scan, whatever follows
local earned = device.credentials
device:await("pairing_failed", { within = "10m" })
expect(device.credentials):equals(earned)              -- the phone lists it: it is not thrown away
expect(device.connects):at_most(5)
expect.never(device, "connected")
