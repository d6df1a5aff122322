-- pair-device without a single ref: nothing to show, so this counts as a close before the first ref.
scenario {
  name = "a window without refs is given up after the limit",
  tags = { "pairing", "qr" },
  loopback_scale = 1/20,
}
local device = engine:device "shop-1"
server:fault { fault = "refs", args = { count = 0 }, where = { device = device } }
device:start()
device:await("disconnected", { within = "10m" })
expect(device.qr):is_nil()
expect(#device:history("qr")):equals(0)
expect(device.connects):equals(3)
expect.never(device, "waiting_for_scan")
