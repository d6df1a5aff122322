-- What was said while the device was away is there after the next login: all of it, once, in the order of its
-- chat, and before what is said later.
scenario {
  name = "messages that waited arrive after the login, in order and once",
  tags = { "messages", "offline" },
  loopback_scale = 1/20,
  needs = { "send" },
}
local phone   = server:phone { number = "15550100001" }
local senders = { server:phone { number = "15550100002" }, server:phone { number = "15550100003" } }
local device  = engine:device "shop-1"
local kEach   = 10

device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
for _, sender in ipairs(senders) do
  local first = sender:send(phone, "0")
  device:await_message { id = first, within = "20s" }
end
device:stop()
for i = 1, kEach do
  for _, sender in ipairs(senders) do sender:send(phone, tostring(i)) end
end
device:start()
device:await("connected", { within = "20s" })
wait_until(function() return #device.inbox >= 2 * (kEach + 1) end, { within = "30s" })
for _, sender in ipairs(senders) do sender:send(phone, tostring(kEach + 1)) end
wait_until(function() return #device.inbox >= 2 * (kEach + 2) end, { within = "20s" })

local next_text = {}
for _, message in ipairs(device.inbox) do
  local expected = next_text[message.chat] or 0
  expect(message.text):equals(tostring(expected))
  next_text[message.chat] = expected + 1
  expect(message.offline):equals(expected > 0 and expected <= kEach)
end
expect(#device.inbox):equals(2 * (kEach + 2))
expect(#device.undecryptable):equals(0)
