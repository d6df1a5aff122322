-- FB-009: a fix of FB-008 stopped counting every close while a code is on show, so a session at its QR
-- reconnected once a second for hours.
scenario {
  name = "closes while a code is shown back off, and the code stays",
  tags = { "pairing", "qr", "reconnect", "FB-009" },
  loopback_scale = 1/100,
  symptom = { "reconnect loop at QR", "Stream Errored (503)" },
}
local device = engine:device "shop-1"
server:fault {
  fault = "stream_error", args = { code = 503 }, where = { device = device },
  when = { on_event = "pair_device", after = "200ms" }, budget = 1000,
}
device:start()
device:await_qr { within = "1m" }
pause(mode == "sim" and "5m" or "1m")
expect(device.connects):at_most(15)
expect(device.connects):at_least(3)
expect(device.attempts):at_least(2)                    -- they count
expect(device.qr):is_not_nil()
expect(device.state):equals("waiting_for_scan")
expect(#device:history("qr_gone")):equals(0)           -- there was a code at every time, fresh or marked stale
expect.never(device, "disconnected")
