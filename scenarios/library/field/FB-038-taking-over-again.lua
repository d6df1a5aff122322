-- FB-038, the other policy: on_replaced = "takeover_after(30s)" tries again, at most once a minute.
scenario {
  name = "a device that may take over does so slowly",
  tags = { "conflict", "reconnect", "FB-038" },
  loopback_scale = 1/100,
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device("shop-1", { on_replaced = "takeover_after(30s)" })
device:start()
phone:scan(device:await_qr { within = "4m" })
device:await("connected", { within = "4m" })
local earned = device.credentials

local rogue = engine.new("elsewhere"):device("rogue", { clone_of = device })
rogue:start()
device:await("replaced", { within = "4m" })
device:await("connected", { within = "4m" })
rogue:await("replaced", { within = "4m" })
expect(device.credentials):equals(earned)
pause(mode == "sim" and "1h" or "1m")
expect(device.state):equals("connected")
expect(device.connects):equals(3)
expect(rogue.connects):equals(1)
