-- FB-098: "Message duplicated ignored" for what was never delivered, or one message three times: remembering that
-- it came and telling of it were two steps. Here both are one commit, before the ack; the application may be told of an
-- event again after a restart, under the same id, until it has taken it. So the process dies before and after every commit
-- that a message causes, one after the other. FB-087 kills at random.
scenario {
  name = "killed between any two steps, every event comes at least once, and once under one id",
  tags = { "messages", "kill", "FB-098" },
  loopback_scale = 1/20,
  needs = { "send", "hold" },
  symptom = { "Message duplicated ignored", "same message 3 times", "message never delivered after restart" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" }, { within = "1m" })
device:await("connected", { within = "1m" })
device:await_message { id = other:send(phone, "0"), within = "20s" }
device:await_sent(device:send(other, "hello"), { within = "20s" })

local kSteps = mode == "sim" and 50 or 3               -- the nth commit from here; a message causes about three
local ids, held = {}, 0
local function tell()
  ids[#ids + 1] = other:send(phone, "text " .. #ids + 1)
  ids[#ids + 1] = phone:send(other, "text " .. #ids + 1)
end
for step = 1, kSteps do
  for _, phase in ipairs { "before", "after" } do
    device:hold("", phase, (step - 1) % 5 + 1)
    tell()
    if pcall(function() device:await_held { within = "3s" } end) then held = held + 1 end
    pause "50ms"                                       -- what was sent too early arrives
    device:kill()
    device:start()
    device:await("connected", { within = "1m" })
  end
end
expect(held):at_least(kSteps)
for _, id in ipairs(ids) do device:await_message { id = id, within = "1m" } end
local times = {}
for _, message in ipairs(device.inbox) do times[message.id] = (times[message.id] or 0) + 1 end
for _, id in ipairs(ids) do expect(times[id]):equals(1) end
expect(#device.inbox):equals(1 + #ids)
expect(#device.undecryptable):equals(0)
expect(#server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry" } })):equals(0)
