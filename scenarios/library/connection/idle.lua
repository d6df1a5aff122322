-- A linked device that nobody uses stays connected: for a day in the simulator, for twenty keep-alives on
-- real sockets.
scenario {
  name = "an idle device stays connected",
  tags = { "connection", "keep-alive" },
  loopback_scale = 1/250,
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "4m" })
device:await("connected", { within = "4m" })
local function keep_alive()
  server:await("stanza_in", { device = device, data = { tag = "iq", xmlns = "w:p" }, within = "4m" })
end
for _ = 1, 20 do keep_alive() end
if mode == "sim" then pause "24h" end
expect(device.state):equals("connected")
expect(device.connects):equals(2)
expect(device.attempts):equals(0)
expect.never(device, "disconnected")
