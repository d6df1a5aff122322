-- FB-006: the server answers the scan with 516, a code that few clients know.
scenario {
  name = "a device that is removed while it pairs is logged out, once",
  tags = { "pairing", "516", "FB-006" },
  loopback_scale = 1/20,
  symptom = { "stream:error code=516", "Stream Errored (unknown)" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
server:fault { fault = "stream_error", args = { code = 516 }, where = { device = device }, when = { on_event = "pair_sign" } }

device:start()
phone:scan(device:await_qr { within = "1m" })
local state = device:await("logged_out", { within = "1m" })
expect(state.code):equals(516)
local connects = device.connects
expect(connects):equals(1)
expect(device.credentials):is_nil()
pause(mode == "sim" and "1h" or "20s")
expect(device.connects):equals(connects)               -- no loop, and no code that nobody asked for
expect(device.qr):is_nil()

device:start()                                         -- but it can be asked
device:await_qr { within = "1m" }
