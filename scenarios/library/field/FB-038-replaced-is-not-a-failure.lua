-- FB-038: a second client with the same credentials. Each kicks the other out, every second, for ever.
-- Left to later: monitors of the gateway that restart what is replaced.
scenario {
  name = "a device that was replaced stays so and keeps its credentials",
  tags = { "conflict", "reconnect", "FB-038" },
  loopback_scale = 1/50,
  symptom = { "Stream Errored (conflict)", "440", "conflict type=replaced" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "2m" })
device:await("connected", { within = "2m" })
local earned = device.credentials

local rogue = engine.new("elsewhere"):device("rogue", { clone_of = device })
rogue:start()
rogue:await("connected", { within = "2m" })
device:await("replaced", { within = "2m" })
expect(device.credentials):equals(earned)
expect(rogue.credentials):equals(earned)
expect(rogue.state):equals("connected")
pause(mode == "sim" and "1h" or "1m")
expect(device.state):equals("replaced")
expect(device.connects):equals(2)
expect(rogue.connects):equals(1)
expect(device.streams):equals(0)
