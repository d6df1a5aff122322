-- Who is there, and who writes: said, asked for, and told. Receipts say "inactive" while nobody is there.
scenario {
  name = "presence and typing are shown and seen, after another login too",
  tags = { "messages", "presence" },
  loopback_scale = 1/20,
  needs = { "send", "presence" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })

local function receipts(type)
  return #server:history("stanza_in", { device = device, data = { tag = "receipt", type = type } })
end
device:await_message { id = other:send(phone, "nobody there?"), within = "20s" }
wait_until(function() return receipts("inactive") == 1 end)
device:presence("available")
device:await_message { id = other:send(phone, "and now?"), within = "20s" }
server:await("stanza_in", { device = device, data = { tag = "presence", type = "available" }, within = "20s" })
expect(receipts("inactive")):equals(1)

device:follow(other)
device:await_presence { from = other, kind = "unavailable", within = "20s" }
other:presence("available")
device:await_presence { from = other, kind = "available", within = "20s" }
other:typing(phone, "composing")
device:await_typing { from = other, chat = other, kind = "composing", within = "20s" }
other:typing(phone, "recording")
device:await_typing { from = other, kind = "recording", within = "20s" }
other:typing(phone, "paused")
device:await_typing { from = other, kind = "paused", within = "20s" }
device:typing(other, "composing")
server:await("stanza_in", { device = device, data = { tag = "chatstate", child = "composing" }, within = "20s" })
device:typing(other, "paused")
server:await("stanza_in", { device = device, data = { tag = "chatstate", child = "paused" }, within = "20s" })

-- The server forgets who is there, and who wanted to know, with the stream.
server:fault { fault = "close", where = { device = device }, when = { manual = true } }:fire()
device:await("connected", { within = "30s" })
device:await_presence { from = other, kind = "available", within = "20s" }
other:presence("unavailable")
local gone = device:await_presence { from = other, kind = "unavailable", within = "20s" }
expect(gone.last_seen):is_not_nil()
device:presence("unavailable")
expect(#device:history("typing")):equals(3)
