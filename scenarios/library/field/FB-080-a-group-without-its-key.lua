-- FB-080: what was to bring a group's key was lost, and everything that follows stays unread, in either direction. Here a member
-- is asked again for what cannot be read, the answer brings message and key, and what was written meanwhile waits its turn.
scenario {
  name = "a group whose key was lost is read after all, in its order, and heard by who lacks ours",
  tags = { "signal", "groups", "retries", "FB-080" },
  loopback_scale = 1/20,
  needs = { "send", "groups" },
  symptom = { "No SenderKeyRecord found for decryption", "No session found to decrypt message" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local third  = server:phone { number = "15550100003" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
local desk = engine:device "desk-1"
desk:start()
third:scan(desk:await_qr { within = "20s" })
desk:await("connected", { within = "20s" })
local group = server:group { subject = "Tea", participants = { other, phone, third } }

-- To us. The retries of all but the first message are slow, so what is written behind them can be read before them.
local lost = server:fault {
  fault = "sender_key", args = { kind = "missing" }, budget = 1,
  where = { device = device, direction = "to_client", stanza = { tag = "message" } },
}
local slow = server:fault {
  fault = "delay", args = { by = "3s" }, when = { nth = 2 },
  where = { device = device, direction = "to_server", stanza = { tag = "receipt", type = "retry" } },
}
local ids = {}
for i = 1, 3 do ids[i] = other:send(group, "without the key " .. i) end
device:await_message { id = ids[1], within = "20s" }
for i = 4, 6 do ids[i] = other:send(group, "with the key " .. i) end
for i = 2, 6 do device:await_message { id = ids[i], within = "30s" } end
expect(lost.fired):equals(1)
expect(slow.fired):equals(1)
for i, message in ipairs(device.inbox) do expect(message.id):equals(ids[i]) end
expect(#device.undecryptable):equals(0)

-- From us, to a device that did not get our key: what it gets again brings it, so it asks once.
for i = 1, 6 do desk:await_message { id = ids[i], within = "30s" } end
local function asked()
  return #server:history("stanza_in", { device = desk, data = { tag = "receipt", type = "retry" } })
end
local before = asked()
local keyless = server:fault {
  fault = "sender_key", args = { kind = "missing" }, budget = 1,
  where = { device = desk, direction = "to_client", stanza = { tag = "message" } },
}
for i = 1, 4 do
  local text = "with our key " .. i
  local one = device:send(group, text)
  desk:await_message { id = one, text = text, within = "30s" }
  device:await_sent(one)
end
expect(keyless.fired):equals(1)
expect(asked()):equals(before + 1)

-- From us: a member asks again for each, more than once. All comes, and the others have no more copies of it.
local asking = server:fault {
  fault = "retry_receipt", args = { count = 1, keys = true }, budget = 8, when = { every = 2 },
  where = { device = device, stanza = { tag = "message" } },
}
local sent = {}
for i = 1, 6 do sent[i] = device:send(group, "ours " .. i) end
for i = 1, 6 do
  other:await_message { id = sent[i], text = "ours " .. i, within = "30s" }
  third:await_message { id = sent[i], text = "ours " .. i, within = "30s" }
end
expect(asking.fired):at_least(3)
asking:remove()
device:await_sent(device:send(group, "the end"))
for _, member in ipairs { other, third } do
  member:await_message { text = "the end", within = "20s" }
  local heard = {}
  for _, message in ipairs(member.inbox) do
    if message.from_me ~= true and message.text:match("^ours") then heard[#heard + 1] = message.id end
  end
  expect(#heard):equals(6)
end
