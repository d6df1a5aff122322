-- FB-024: a link-code notification without its children ends the process ("Invalid buffer").
scenario {
  name = "a hello of the phone that lacks something is acked and ignored",
  tags = { "pairing", "pairing-code", "hostile", "FB-024" },
  loopback_scale = 1/10,
  symptom = { "Invalid buffer" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
local spoilt = server:fault {
  fault = "mutate", args = { child = "link_code_companion_reg", drop = true },
  where = { device = "shop-1", direction = "to_client", stanza = { tag = "notification", type = "link_code_companion_reg" } },
  budget = 1,
}
expect.never(device, "disconnected")

device:start { pairing_number = "15550100001" }
local code = device:await_pairing_code { within = "5s" }
expect.error(function() phone:enter_code(code) end):code("no_companion_finish")
expect(spoilt.fired):equals(1)
expect(device.state):equals("waiting_for_scan")
expect(device.pairing_code):equals(code)
phone:enter_code(code)
device:await("connected", { within = "10s" })
expect(device.connects):equals(2)
