-- The socket is reset right after the handshake, three times: the engine backs off and comes through.
scenario {
  name = "resets right after the handshake are survived",
  tags = { "connection", "reconnect", "network" },
  loopback_scale = 1/20,
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
local earned = device.credentials
server:fault {
  fault = "close", args = { how = "rst" }, where = { device = device }, when = { on_event = "handshake" }, budget = 3,
}
local drop = server:fault { fault = "close", args = { how = "rst" }, where = { device = device }, when = { manual = true } }
drop:fire()
device:await("connecting", { within = "1m" })
device:await("connected", { within = "2m" })
expect(device.connects):equals(2 + 4)
expect(device.credentials):equals(earned)
expect.never(device, "disconnected")
