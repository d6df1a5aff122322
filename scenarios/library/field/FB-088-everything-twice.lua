-- FB-088: a stanza comes twice; the second decryption fails, and a retry is asked for that nobody needs.
scenario {
  name = "what comes twice is told once, and nothing is asked for again",
  tags = { "messages", "dup", "FB-088" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "duplicate message", "Key used already or never filled", "MessageCounterError" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
server:fault { fault = "dup", where = { device = device, direction = "to_client", stanza = { tag = "message" } } }
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
for i = 1, 20 do
  device:await_message { id = other:send(phone, "text " .. i), within = "20s" }
end
pause "2s"
expect(#device.inbox):equals(20)
expect(#device.undecryptable):equals(0)
expect(#server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry" } })):equals(0)
