-- The socket is reset right after pair-device-sign, so the 515 never comes. The pairing is complete on
-- both sides: the next stream is the login.
scenario {
  name = "a pairing whose restart is lost still ends connected",
  tags = { "pairing", "515", "network" },
  loopback_scale = 1/20,
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
server:fault {
  fault = "close", args = { how = "rst" }, where = { device = device }, when = { on_event = "pair_sign" },
}
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
expect(#server:history("registration", { device = device })):equals(1)
expect(#server:history("login", { device = device })):equals(1)
expect.never(device, "disconnected")
