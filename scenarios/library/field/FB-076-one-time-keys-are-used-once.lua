-- FB-076: the one-time key of a first message is deleted, the process dies before the session is stored, and the message
-- comes again: "Invalid PreKey ID". Here the key, the session and the message are one commit, and the ack comes after it.
scenario {
  name = "a first message survives the death of the process around its commit",
  tags = { "signal", "kill", "FB-076" },
  loopback_scale = 1/20,
  needs = { "send", "hold" },
  symptom = { "Invalid PreKey ID", "Key used already or never filled", "Invalid PreKey" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
pause "1s"
for i, phase in ipairs { "before", "after" } do
  local peer = server:phone { number = "1555010020" .. i }
  device:hold("received", phase, 1)
  local id = peer:send(phone, "first of " .. phase)
  device:await_held { within = "20s" }
  device:kill()
  device:start()
  device:await("connected", { within = "20s" })
  device:await_message { id = id, text = "first of " .. phase, within = "30s" }
  device:await_message { id = peer:send(phone, "second of " .. phase), within = "20s" }
end
expect(#device.inbox):equals(4)
expect(#device.undecryptable):equals(0)
