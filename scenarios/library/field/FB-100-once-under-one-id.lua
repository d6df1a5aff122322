-- FB-100: one call, two messages: the client asks again after a timeout, or the engine sends again with a new id.
-- Here a message has one id from the beginning; asked for again, or sent again after a reconnect, it is the same one.
-- Left to later: Idempotency-Key, and the locks of dead owners.
scenario {
  name = "a message that is asked for again under its id is one message, also over a reconnect",
  tags = { "messages", "FB-100" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "one API call, two messages", "message sent twice", "duplicate message sent" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
device:await_sent(device:send(other, "hello"))
local lost = server:fault {
  fault = "drop", where = { device = device, direction = "to_client", stanza = { tag = "ack", class = "message" } },
}
for _ = 1, 3 do
  local sent = device:send { to = other, text = "only once", id = "3EB0FB100FB100FB1001" }
  expect(sent.id):equals("3EB0FB100FB100FB1001")
end
other:await_message { text = "only once", within = "20s" }
device:kill()
lost:remove()
device:start()
device:await("connected", { within = "20s" })
wait_until(function() return #device:history("sent") >= 2 end, { within = "2m" })
pause "5s"
local count = 0
for _, message in ipairs(other.inbox) do
  if message.text == "only once" then count = count + 1 end
end
expect(count):equals(1)
