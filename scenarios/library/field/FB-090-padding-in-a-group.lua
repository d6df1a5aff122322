-- FB-090: about one message in 16 could not be read: its padding had no length. What goes to a group is padded once, for all.
-- To one account: FB-090-padding.lua.
scenario {
  name = "every message to a group can be read, whatever its padding",
  tags = { "messages", "groups", "FB-090" },
  loopback_scale = 1/20,
  needs = { "send", "groups" },
  symptom = { "1 in 16 messages", "invalid padding", "bad_padding" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
local kMany  = mode == "sim" and 5000 or 100
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
local group = server:group { subject = "Tea", participants = { other, phone } }
local last
for i = 1, kMany do last = device:send(group, string.rep("x", i % 33 + 1)) end
device:await_sent(last, { within = "2m" })
other:await_message { id = last, within = "2m" }
expect(#other.inbox):equals(kMany)
for _, message in ipairs(other.messages) do expect(message.failures):equals(0) end
