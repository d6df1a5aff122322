-- FB-010: every connection is closed before a ref came, and the client connects without end.
scenario {
  name = "closes before the first ref are counted up to the limit",
  tags = { "pairing", "reconnect", "FB-010" },
  loopback_scale = 1/20,
  symptom = { "Connection Closed 1006", "QR never generated" },
}
local device = engine:device "shop-1"
server:fault {
  fault = "close", args = { how = "fin" }, where = { device = device }, when = { on_event = "registration" },
  budget = 100,
}

device:start()
device:await("disconnected", { reason = "closed_before_first_ref", within = "5m" })
expect(device.connects):equals(3)
expect(device.last_close):is_not_nil()
expect(device.qr):is_nil()
pause(mode == "sim" and "1h" or "20s")
expect(device.connects):equals(3)                      -- and that was all
