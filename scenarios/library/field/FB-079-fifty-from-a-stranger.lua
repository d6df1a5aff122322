-- FB-079: a stranger writes fifty messages to a group, none of which can be read; each makes the client ask for keys and begin
-- another session, and 193 of 201 fail. Here what is asked for is asked once, and a session that came meanwhile stays.
scenario {
  name = "fifty group messages of a stranger without his key: one session, in order, one retry each",
  tags = { "signal", "groups", "retries", "FB-079" },
  loopback_scale = 1/20,
  needs = { "send", "groups" },
  symptom = { "No SenderKeyRecord found for decryption", "no sender key for" },
}
local kBurst = mode == "sim" and 50 or 20
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local third  = server:phone { number = "15550100003" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
-- A companion of the stranger: whoever fetches his keys takes one of its own, too, so they are counted here.
local desk = engine:device("desk-1", { initial_prekeys = 30 })
desk:start()
other:scan(desk:await_qr { within = "20s" })
desk:await("connected", { within = "20s" })
wait_until(function()   -- what its phone tells it first; that takes one
  return #server:history("stanza_in", { device = desk, data = { tag = "receipt", type = "hist_sync" } }) > 0
end, { within = "20s" })
local left = other.companions[1].prekeys
local group = server:group { subject = "Tea", participants = { other, phone, third } }

local lost = server:fault {
  fault = "sender_key", args = { kind = "missing" }, budget = 1,
  where = { device = device, direction = "to_client", stanza = { tag = "message" } },
}
server:fault {   -- so that both want his keys at the same time
  fault = "delay", args = { by = "1s" },
  where = { device = device, direction = "to_server", stanza = { tag = "iq", type = "get", xmlns = "encrypt" } },
}
-- Meanwhile the device writes to him, which needs keys of his, and to others, which needs no more of them.
local ids = {}
parallel(
  function() for i = 1, kBurst do ids[i] = other:send(group, "burst " .. i) end end,
  function() for i = 1, 10 do device:send(other, "direct " .. i) end end,
  function() for i = 1, 10 do device:send(group, "group " .. i) end end)
for i = 1, kBurst do device:await_message { id = ids[i], text = "burst " .. i, within = "30s" } end
for i = 1, 10 do
  other:await_message { text = "direct " .. i, within = "20s" }
  third:await_message { text = "group " .. i, within = "20s" }
end
wait_until(function()
  for _, row in ipairs(device.sends) do
    if row.state ~= "sent" then return false end
  end
  return true
end, { within = "20s" })
expect(lost.fired):equals(1)
for i, message in ipairs(device.inbox) do expect(message.id):equals(ids[i]) end

local function count(data) return #server:history("stanza_in", { device = device, data = data }) end
expect(count { tag = "receipt", type = "retry" }):at_most(kBurst)
local asked = {}
for _, receipt in ipairs(server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry" } })) do
  expect(asked[receipt.data.id]):is_nil()
  asked[receipt.data.id] = true
end
expect(other.companions[1].prekeys):equals(left - 1)
expect(#device.undecryptable):equals(0)
for _, message in ipairs(other.messages) do expect(message.failures):equals(0) end
