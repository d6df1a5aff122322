-- FB-046: a stanza that the client does not know is never acknowledged, so the server ends the stream again and
-- again, and sends the same stanzas 25 times.
-- Left to later: the counter of unknown stanzas by tag and type, and a mock that ends the stream for each of them.
scenario {
  name = "stanzas of unknown kinds are acknowledged, and the stream lives on",
  tags = { "acks", "FB-046" },
  loopback_scale = 1/50,
  allow = { violations = { "ack-unknown" } },          -- the mock owes no ack for a tag that it does not know itself
  symptom = { "connection ends every 50 minutes", "forced reconnects", "stream errored out ack" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
server:fault { fault = "owe_ack", args = { after = "50m" }, where = { device = device }, optional = true }
local nodes = {
  { tag = "status", attrs = { id = "u1", from = "s.whatsapp.net", type = "set" } },
  { tag = "foo", attrs = { id = "u2", from = "15550100002@s.whatsapp.net" } },
  { tag = "notification", attrs = { id = "u3", from = "s.whatsapp.net", type = "never_heard_of", t = "1" } },
}
local faults = {}
for i, node in ipairs(nodes) do
  faults[i] = server:fault { fault = "inject", args = { node = node }, where = { device = device }, when = { manual = true } }
end

device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
local connects = device.connects
for i, fault in ipairs(faults) do
  fault:fire()
  server:await("stanza_in", { device = device, data = { tag = "ack", id = nodes[i].attrs.id } })
end
pause(mode == "sim" and "3h" or "30s")
expect(device.state):equals("connected")
expect(device.connects):equals(connects)              -- and so nothing came twice
for _, node in ipairs(nodes) do
  expect(#server:history("stanza_in", { device = device, data = { tag = "ack", id = node.attrs.id } })):equals(1)
end
