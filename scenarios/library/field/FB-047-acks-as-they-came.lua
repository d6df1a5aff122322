-- FB-047: an ack without the `recipient` attribute, then a stream error that is taken for a bad session (500, which
-- the server never sent). FB-048: an ack with another participant, a second ack. The mock judges each ack by the
-- family of its stanza (`ack-shape`, `ack-unknown` are violations; acks-well-formed counts them).
-- Left to later: newsletters; receipts where none is allowed.
scenario {
  name = "acks repeat what they acknowledge, once, family by family",
  tags = { "acks", "FB-047", "FB-048" },
  loopback_scale = 1/20,
  symptom = { "badSession", "closed right after a group notification", "Stream Errored (ack)" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
local kRounds = mode == "sim" and 100 or 5
local peer, group = "15550100002@s.whatsapp.net", "120363000000000001@g.us"
local nodes = {
  { tag = "notification", attrs = { id = "A1", from = group, type = "w:gp2", participant = "15550100002:3@s.whatsapp.net", t = "1" } },
  { tag = "receipt",      attrs = { id = "A2", from = peer, recipient = "15550100003@s.whatsapp.net", t = "1" } },
  { tag = "receipt",      attrs = { id = "A3", from = group, type = "read", participant = "987650000000002@lid", t = "1" } },
  { tag = "call",         attrs = { id = "A4", from = peer, t = "1" } },
}
local faults = {}
for i, node in ipairs(nodes) do
  faults[i] = server:fault {
    fault = "inject", args = { node = node }, where = { device = device }, when = { manual = true }, budget = kRounds,
  }
end
server:fault { fault = "owe_ack", args = { after = "20s" }, where = { device = device }, optional = true }

device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
local connects = device.connects
local function acks(id) return #server:history("stanza_in", { device = device, data = { tag = "ack", id = id } }) end
for round = 1, kRounds do
  for _, fault in ipairs(faults) do fault:fire() end
  for _, node in ipairs(nodes) do
    wait_until(function() return acks(node.attrs.id) >= round end)
  end
end
pause(mode == "sim" and "1m" or "20s")
for _, node in ipairs(nodes) do expect(acks(node.attrs.id)):equals(kRounds) end
expect(device.connects):equals(connects)
expect(device.state):equals("connected")
expect(#device:history("undecryptable")):equals(0)
