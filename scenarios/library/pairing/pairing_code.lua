-- A device is linked with its phone number: the code that it shows is typed into the phone. A mistyped
-- one does no harm.
scenario {
  name = "a pairing code is typed, the restart is a login",
  tags = { "pairing", "pairing-code", "smoke" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
expect.never(device, "disconnected")

device:start { pairing_number = "15550100001" }
local code = device:await_pairing_code { within = "5s" }
expect(#code):equals(8)
expect(device.pairing_code):equals(code)
expect(device.state):equals("waiting_for_scan")

local wrong = (code:sub(1, 1) == "A" and "B" or "A") .. code:sub(2)
expect.error(function() phone:enter_code(wrong) end):code("wrong_code")
expect(device.state):equals("waiting_for_scan")
expect(device.pairing_code):equals(code)

local jid = phone:enter_code(code:sub(1, 4):lower() .. "-" .. code:sub(5))
device:await("connected", { within = "10s" })
expect(device.jid):equals(jid)
expect(device.connects):equals(2)
expect(device.pairing_code):is_nil()
expect(device.qr):is_nil()
expect(#phone.companions):equals(1)
expect.error(function() phone:enter_code(code) end):code("no_pairing_code")
