-- FB-020: the server refuses companion_hello (400 bad-request, for example for a display name that it
-- does not know); the user sees a code that never works, or the client asks again and again.
scenario {
  name = "a refused pairing code is said once, in the server's words",
  tags = { "pairing", "pairing-code", "FB-020" },
  loopback_scale = 1/10,
  symptom = { "bad-request", "400", "Couldn't link device" },
}
local phone   = server:phone { number = "15550100001" }
local device  = engine:device "shop-1"
local refusal = server:fault {
  fault = "iq_error", args = { code = 400 },
  where = { device = "shop-1", stanza = { tag = "iq", child = "link_code_companion_reg" } },
}
expect.never(device, "disconnected")

expect.error(function() device:start { pairing_number = "not a number" } end):code("bad_request")
expect(device.connects):equals(0)

device:start { pairing_number = "+1 (555) 010-0001" }  -- digits only are sent
local refused = device:await("waiting_for_scan", { reason = "pairing_code_rejected", within = "5s" })
expect(refused.pairing_error:sub(1, 3)):equals("400")
pause("10s")
expect(refusal.fired):equals(1)
expect(#device:history("pairing_code")):equals(0)
expect(device.pairing_code):is_nil()
phone:scan(device.qr)                                 -- the other way is still open
device:await("connected", { within = "10s" })
