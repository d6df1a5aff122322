-- The ten lines of docs/guides/bad-mac.md: a message is spoilt on its way, asked for again, and read.
scenario { name = "a Bad MAC heals: the message is asked for again, and read", tags = { "messages", "signal", "retries" },
           loopback_scale = 1/20, needs = { "send" }, symptom = { "Bad MAC", "No matching sessions found for message" } }
local phone, other = server:phone { number = "15550100001" }, server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
device:await_message { id = other:send(phone, "before"), within = "20s" }
server:fault { fault = "corrupt_enc", args = { part = "mac" }, budget = 1,
               where = { device = device, direction = "to_client", stanza = { tag = "message" } } }
device:await_message { id = other:send(phone, "spoilt"), within = "4m" }   -- Baileys 6 thinks for 5 s before it asks
