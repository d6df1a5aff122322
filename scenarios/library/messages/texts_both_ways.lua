-- A text to somebody whom the device has never met, and one back: right after the pairing, and after a second login.
-- Two receipts come for each message, that of its own phone and that of the other one, and each wants its own ack.
scenario {
  name = "texts go both ways, before and after another login",
  tags = { "messages" },
  loopback_scale = 1/20,
  needs = { "send" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"

device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })

for round, text in ipairs { "hello", "hello again" } do
  local sent = device:send(other, text)
  device:await_sent(sent)
  local read = other:await_message { from = device, text = text, within = "20s" }
  expect(read.id):equals(sent.id)
  expect(read.kind):equals("text")
  phone:await_message { id = sent.id, from_me = true }      -- the own phone has a copy

  local id = other:send(phone, "answer " .. round)
  local answer = device:await_message { from = other, within = "20s" }
  expect(answer.id):equals(id)
  expect(answer.text):equals("answer " .. round)
  expect(answer.chat):is_not_nil()
  expect(#device.inbox):equals(round)                       -- what it has sent itself is no news
  if round == 1 then
    device:stop()
    device:start()
    device:await("connected", { within = "20s" })
  end
end
expect(#device.undecryptable):equals(0)
expect(#other.inbox):equals(2)
for _, message in ipairs(other.messages) do expect(message.failures):equals(0) end
