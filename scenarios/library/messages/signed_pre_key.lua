-- The signed pre-key is replaced every week. Whoever fetched the old one before, and writes first now, is read.
scenario {
  name = "a signed pre-key is replaced after a week, and the old one opens what was written with it",
  tags = { "signal", "pre-keys" },
  modes = { "sim" },
  modes_reason = "eight days",
  needs = { "send" },
}
local phone  = server:phone { number = "15550100001" }
local early  = server:phone { number = "15550100002" }
local late   = server:phone { number = "15550100003" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected")
pause "5s"
-- One who has fetched the keys, and whose first message is lost, twice: the server sends it again at the next login.
local lost = server:fault {
  fault = "drop", where = { device = device, direction = "to_client", stanza = { tag = "message" } }, budget = 2,
}
early:send(phone, "lost")
wait_until(function() return lost.fired == 1 end)
device:stop()
pause "192h"
device:start()
device:await("connected")
server:await("stanza_in", { device = device, data = { tag = "iq", xmlns = "encrypt", child = "rotate" }, within = "1m" })
wait_until(function() return lost.fired == 2 end)
device:await_message { id = early:send(phone, "with the old key"), text = "with the old key" }
device:await_message { id = late:send(phone, "with the new one"), text = "with the new one" }
pause "1h"
expect(#server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry" } })):equals(0)
expect(#server:history("stanza_in", { device = device, data = { tag = "iq", xmlns = "encrypt", child = "rotate" } })):equals(1)
expect(#device.undecryptable):equals(0)
