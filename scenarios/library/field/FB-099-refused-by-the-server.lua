-- FB-099: the API said "sent", and the server's ack had an error: the message was never delivered. Here the server's ack
-- is the result, with its code, and nothing is sent a second time by itself.
-- Left to later: webhooks and HTTP answers.
scenario {
  name = "a message that the server refuses has failed, with the server's code",
  tags = { "messages", "FB-099" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "ack error=463", "error 463", "API 200 but never delivered", "ack error 479" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
local codes  = { 463, 479, 421, 500 }
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
device:await_sent(device:send(other, "hello"))
for _, code in ipairs(codes) do
  local refusal = server:fault { fault = "ack_error", args = { code = code }, where = { device = device, stanza = { tag = "message" } }, budget = 1 }
  local before = #server:history("stanza_in", { device = device, data = { tag = "message" } })
  local sent = device:send(other, "refused with " .. code)
  expect.error(function() device:await_sent(sent, { within = "1s" }) end):code("refused")
  expect(sent.state):equals("failed")
  expect(sent.code):equals(code)
  pause "5s"
  expect(#server:history("stanza_in", { device = device, data = { tag = "message" } }) - before):equals(1)
  refusal:remove()
end
device:await_sent(device:send(other, "and then it works"))
other:await_message { text = "and then it works", within = "20s" }
expect(#other.inbox):equals(2)
