-- FB-048: a group notification or a newsletter's message is acknowledged with another participant, twice, or with a receipt
-- where none is wanted; the server ends the stream right after. Here one table makes acks, family by family, and
-- they repeat what came. The mock judges each of them (`ack-shape`, `ack-unknown`, `receipt-shape`, acks-well-formed).
-- FB-047 has the attributes of common stanzas; here are those that clients get wrong.
scenario {
  name = "each stanza gets the one ack or receipt of its family, also when it comes twice",
  tags = { "acks", "receipts", "FB-048" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "closed right after a group notification", "Stream Errored (ack)", "newsletter message closes the connection" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
local group, channel = "120363000000000001@g.us", "120363000000000009@newsletter"
local companion = "15550100002:3@s.whatsapp.net"
local nodes = {
  { tag = "notification", attrs = { id = "S1", from = group, type = "w:gp2", participant = "987650000000002@lid", notify = "somebody", t = "1" },
    children = { { tag = "subject", attrs = { subject = "new" } } } },
  { tag = "notification", attrs = { id = "S2", from = channel, type = "newsletter", t = "1" } },
  { tag = "notification", attrs = { id = "S3", from = "15550100002@s.whatsapp.net", type = "devices", t = "1" } },
  { tag = "notification", attrs = { id = "S4", from = "s.whatsapp.net", type = "server_sync", t = "1" } },
  { tag = "receipt", attrs = { id = "S5", from = group, participant = companion, type = "read", t = "1" } },
  { tag = "receipt", attrs = { id = "S6", from = companion, type = "retry", t = "1" },
    children = { { tag = "retry", attrs = { count = "1", id = "S6", t = "1", v = "1" } }, { tag = "registration", hex = "00001234" } } },
  { tag = "call", attrs = { id = "S7", from = companion, t = "1" }, children = { { tag = "offer", attrs = { ["call-id"] = "C1" } } } },
  { tag = "message", attrs = { id = "S8", from = channel, type = "text", t = "1", server_id = "100" }, children = { { tag = "plaintext", hex = "0a0568656c6c6f" } } },
  { tag = "message", attrs = { id = "S9", from = "status@broadcast", participant = companion, type = "text", t = "1" }, children = { { tag = "enc", attrs = { v = "2", type = "foo" }, hex = "33" } } },
  { tag = "message", attrs = { id = "S10", from = companion, type = "text", t = "1" }, children = { { tag = "unavailable" } } },
}
local faults = {}
for i, node in ipairs(nodes) do
  faults[i] = server:fault { fault = "inject", args = { node = node }, where = { device = device }, when = { manual = true }, budget = 10 }
end
server:fault { fault = "owe_ack", args = { after = "20s" }, where = { device = device }, optional = true }
device:start()
phone:scan(device:await_qr { within = "1m" }, { within = "1m" })
device:await("connected", { within = "1m" })
device:await_message { id = other:send(phone, "hello"), within = "20s" }
local connects = device.connects

local function said(tag, id) return server:history("stanza_in", { device = device, data = { tag = tag, id = id } }) end
for round = 1, 2 do                                    -- the second time the same stanzas again
  for i, fault in ipairs(faults) do
    fault:fire()
    wait_until(function() return #said("ack", nodes[i].attrs.id) >= round end, { within = "20s" })
  end
end
pause(mode == "sim" and "1m" or "25s")
for _, node in ipairs(nodes) do
  local id = node.attrs.id
  expect(#said("ack", id)):equals(2)
  expect(#said("receipt", id)):equals(0)               -- none of these is a message that was read
end

-- A message that was read gets its receipt and no ack; who wrote in the own name gets another kind.
local read = other:send(phone, "read me")
device:await_message { id = read, within = "20s" }
wait_until(function() return #said("receipt", read) == 1 end, { within = "20s" })
local own = phone:send(other, "from the own phone")
device:await_message { id = own, within = "20s" }
wait_until(function() return #said("receipt", own) == 1 end, { within = "20s" })
pause "5s"
expect(#said("receipt", read)):equals(1)
expect(#said("ack", read)):equals(0)
expect(#said("receipt", own)):equals(1)                -- an ack has the receipt of the other one, under the same id
expect(said("receipt", own)[1].data.type):equals("sender")
expect(device.connects):equals(connects)
expect(device.state):equals("connected")
