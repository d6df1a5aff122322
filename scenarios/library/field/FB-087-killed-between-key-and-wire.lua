-- FB-087: the ack was sent, or the message, and the process died before its key was durable: the next message cannot be
-- read, or a key is used twice. FB-098: told twice, or never, since telling and remembering were two steps.
-- Durable, then ack; durable, then wire. The mock's phones see each key (no-key-reuse), devices each event.
scenario {
  name = "no death of the process costs a message, or uses a key twice",
  tags = { "messages", "kill", "FB-087", "FB-098" },
  loopback_scale = 1/20,
  needs = { "send", "hold" },
  symptom = { "Message duplicated ignored", "Bad MAC after a crash", "message counter reused" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
device:await_message { id = other:send(phone, "0"), within = "20s" }
local kDeaths, kEach = mode == "sim" and 200 or 2, 5  -- a conversation of 2,000 messages
local sent = {}
for i = 1, kDeaths do
  device:hold("", i % 2 == 0 and "before" or "after", math.random(1, 6))
  for j = 1, kEach do
    other:send(phone, i .. "." .. j)
    pcall(function() sent[#sent + 1] = device:send { to = other, text = "to " .. i .. "." .. j } end)
  end
  pcall(function() device:await_held { within = "2s" } end)
  device:kill()
  device:start()
  device:await("connected", { within = "1m" })
end
wait_until(function() return #device.inbox >= 1 + kEach * kDeaths end, { within = "2m" })
expect(#device.inbox):equals(1 + kEach * kDeaths)
expect(#device.undecryptable):equals(0)
for _, handle in ipairs(sent) do
  if handle.state ~= "failed" then device:await_sent(handle, { within = "1m" }) end
end
local read = {}
for _, message in ipairs(other.inbox) do read[message.id] = (read[message.id] or 0) + 1 end
for _, handle in ipairs(sent) do
  if handle.state == "sent" then expect(read[handle.id]):equals(1) end
end
