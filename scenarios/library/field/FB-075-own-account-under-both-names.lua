-- FB-075: messages of one's own phone, to others and to itself, come under the LID with the phone number beside it:
-- "No session record", then ack error 479. A number and a LID are one identity, for sessions and for `from_me`.
scenario {
  name = "what the own phone says is from me, under whichever name it comes",
  tags = { "messages", "lid", "FB-075" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "No session record", "ack error 479", "fromMe false" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
for i = 1, 20 do
  local id = phone:send(i % 2 == 0 and phone or other, "mine " .. i)
  local message = device:await_message { id = id, within = "20s" }
  expect(message.from_me):is_true()
  expect(message.text):equals("mine " .. i)
end
expect(#device.inbox):equals(20)
expect(#device.undecryptable):equals(0)
expect(#server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry" } })):equals(0)
