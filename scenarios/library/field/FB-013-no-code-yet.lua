-- FB-013: "200 OK" with an empty QR field, asked between the connection and the first ref.
-- Left to later: the gateway's 202, and the long poll.
scenario {
  name = "before the first ref there is no code, and the state says so",
  tags = { "pairing", "qr", "FB-013" },
  loopback_scale = 1/10,
  symptom = { "{\"count\":0}", "empty QR code" },
}
local device = engine:device "shop-1"
server:fault {
  fault = "delay", args = { by = "3s" }, where = { device = device, direction = "to_client", stanza = { child = "pair-device" } },
  when = { nth = 1 },
}
device:start()
server:await("registration", { device = device, within = "1m" })
expect(device.state):equals("connecting")
expect(device.qr):is_nil()
device:await_qr { within = "1m" }
expect(device.state):equals("waiting_for_scan")
expect(device.qr):is_not_nil()
expect(device.connects):equals(1)
