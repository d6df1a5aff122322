-- FB-082: a peer asks again for a message that the client does not have, and gets an empty one: its placeholder stays.
-- FB-084: a peer that never can read asks without end, and is answered without end.
-- Left to later: the counter of misses.
scenario {
  name = "retries for unknown messages send nothing, and retries without end are answered five times at most",
  tags = { "messages", "retries", "FB-082", "FB-084" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "Waiting for this message", "retry receipt for unknown message", "retries without end" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
local unknown = server:fault {
  fault = "inject", when = { manual = true }, where = { device = device },
  args = { node = { tag = "receipt", attrs = { id = "3EB0NEVERSENT", from = "15550100002@s.whatsapp.net", type = "retry", t = "1" },
    children = { { tag = "retry", attrs = { count = "1", id = "3EB0NEVERSENT", t = "1", v = "1" } }, { tag = "registration", hex = "00001234" } } } },
}
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
local sent = device:send(other, "hello")
device:await_sent(sent)
other:await_message { id = sent, within = "20s" }
local function messages() return #server:history("stanza_in", { device = device, data = { tag = "message" } }) end
local before = messages()
unknown:fire()
server:await("stanza_in", { device = device, data = { tag = "ack", id = "3EB0NEVERSENT" } })
pause "5s"
expect(messages()):equals(before)

server:fault {
  fault = "corrupt_enc", args = { part = "mac" },
  where = { device = device, direction = "to_server", stanza = { tag = "message" } },
}
local hopeless = device:send(other, "nobody can read this")
pause(mode == "sim" and "2m" or "20s")
expect(messages() - before):at_most(1 + 2 * 5)         -- the recipient and the own phone ask, each
expect(device.state):equals("connected")
