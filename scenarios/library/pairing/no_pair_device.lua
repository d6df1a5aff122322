-- The server never sends pair-device: each attempt has a deadline, and the attempts have a limit.
scenario {
  name = "a server that offers no refs at all is given up",
  tags = { "pairing", "timeout" },
  loopback_scale = 1/50,
}
local device = engine:device "shop-1"
server:fault { fault = "withhold", args = { stanza = "pair-device" }, where = { device = device } }
device:start()
device:await("disconnected", { within = "10m" })
expect(device.reason):equals("closed_before_first_ref")
expect(device.connects):equals(3)
expect.never(device, "waiting_for_scan")
