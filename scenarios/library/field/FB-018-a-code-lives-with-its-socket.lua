-- FB-018: after a reconnect the old code is still shown, and rejected every time.
scenario {
  name = "a reconnect brings a new code, the old one is void",
  tags = { "pairing", "pairing-code", "reconnect", "FB-018" },
  loopback_scale = 1/10,
  symptom = { "428", "Couldn't link device" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
local cut    = server:fault { fault = "close", where = { device = "shop-1" }, when = { after = "5s" } }

device:start { pairing_number = "15550100001" }
local first = device:await_pairing_code { within = "5s" }
local second = device:await_pairing_code { within = "1m" }
expect(cut.fired):equals(1)
expect(second):differs(first)
expect(device.pairing_code):equals(second)
expect(#device:history("pairing_code")):equals(2)

expect.error(function() phone:enter_code(first) end):code("wrong_code")
phone:enter_code(second)
device:await("connected", { within = "30s" })
