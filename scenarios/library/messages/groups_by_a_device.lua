-- A device makes a group, adds to it and removes from it. Whoever was removed holds a key that opens nothing that comes later.
scenario {
  name = "a device makes a group, and its key is new when somebody has left",
  tags = { "messages", "groups" },
  loopback_scale = 1/20,
  needs = { "send", "groups" },
}
local phone  = server:phone { number = "15550100001" }
local ben    = server:phone { number = "15550100002" }
local cleo   = server:phone { number = "15550100003" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })

local group = device:group_create { subject = "Tea", members = { ben } }
expect(#group.members):equals(2)
device:await_sent(device:send(group, "one"))
ben:await_message { from = device, chat = group, text = "one", within = "20s" }
device:group_add(group, cleo)
expect(#group.members):equals(3)
local second = device:send(group, "two")
device:await_sent(second)
for _, member in ipairs { ben, cleo } do
  member:await_message { from = device, chat = group, text = "two", within = "20s" }
end
device:group_remove(group, ben)
expect(#group.members):equals(2)

local function key_of(sent)
  local stanza = server:history("stanza_in", { device = device, data = { tag = "message", id = sent.id } })[1]
  return stanza.data.sender_key:match("^%d+")
end
local third = device:send(group, "three")
cleo:await_message { id = third, chat = group, text = "three", within = "20s" }
expect(key_of(third)):differs(key_of(second))
for _, message in ipairs(ben.messages) do expect(message.id):differs(third.id) end
expect.error(function() device:group_add(group, cleo) end):code("refused")
expect(#device.undecryptable):equals(0)
