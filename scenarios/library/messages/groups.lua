-- A group by LIDs and one by numbers: texts both ways, somebody who joins, somebody who leaves and reads no more, receipts.
scenario {
  name = "a group hears its members, who joins reads on, who leaves does not",
  tags = { "messages", "groups" },
  loopback_scale = 1/20,
  needs = { "send", "read", "groups" },
}
local phone  = server:phone { number = "15550100001" }
local ben    = server:phone { number = "15550100002" }
local cleo   = server:phone { number = "15550100003" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })

local anna    = server:phone { number = "15550100004" }
local tea     = server:group { subject = "Tea", participants = { anna, ben, device }, addressing = "lid" }
local numbers = server:group { subject = "Coffee", participants = { ben, device, cleo }, addressing = "pn" }
for _, group in ipairs { tea, numbers } do
  local asked = ben:send(group, "who is there?")
  local heard = device:await_message { id = asked, from = ben, chat = group, within = "20s" }
  expect(heard.text):equals("who is there?")
  expect(heard.chat):equals(group.jid)
  ben:await_receipt { from = device, id = asked, kind = "delivered", within = "20s" }
  device:read(heard)
  ben:await_receipt { from = device, id = asked, kind = "read", within = "20s" }

  local sent = device:send(group, "I am")
  device:await_sent(sent)
  ben:await_message { id = sent, from = device, chat = group, text = "I am", within = "20s" }
  phone:await_message { id = sent, from_me = true, chat = group, within = "20s" }
  ben:read(sent.id)
  device:await_receipt { id = sent, from = ben, kind = "read", within = "20s" }
end

-- A change counts for the device once it has heard of it.
local function heard_of(change)
  local function acks() return #server:history("stanza_in", { device = device, data = { tag = "ack", type = "w:gp2" } }) end
  local before = acks()
  change()
  wait_until(function() return acks() > before end, { within = "20s" })
end

-- Who joins reads what comes then.
heard_of(function() tea:add(cleo) end)
expect(#tea.members):equals(4)
local joined = device:send(tea, "welcome")
for _, member in ipairs { ben, cleo } do
  member:await_message { id = joined, chat = tea, text = "welcome", within = "20s" }
end
device:await_message { id = cleo:send(tea, "hello"), from = cleo, chat = tea, text = "hello", within = "20s" }

-- Who is removed gets nothing more, and has the key of the time before: what comes then is written with another one.
local function key_of(sent)
  local stanza = server:history("stanza_in", { device = device, data = { tag = "message", id = sent.id } })[1]
  return stanza.data.sender_key:match("^%d+")
end
heard_of(function() tea:remove(ben) end)
local alone = device:send(tea, "without Ben")
cleo:await_message { id = alone, chat = tea, text = "without Ben", within = "20s" }
expect(key_of(alone)):differs(key_of(joined))
device:await_message { id = cleo:send(tea, "he has left"), from = cleo, chat = tea, within = "20s" }
-- When he comes back he needs the new key.
heard_of(function() tea:add(ben) end)
local back = device:send(tea, "with Ben")
ben:await_message { id = back, chat = tea, text = "with Ben", within = "20s" }
device:await_sent(back)
for _, message in ipairs(ben.messages) do
  expect(message.id):differs(alone.id)
  expect(message.failures):equals(0)
end
expect(#device.undecryptable):equals(0)
for _, row in ipairs(device.sends) do expect(row.state):equals("sent") end
