-- FB-070: one peer's session and ours have parted; "re-pair the device" is what people are told. Here it is repaired
-- between the two: a retry receipt, a message of a new session. Nobody else notices.
-- Left to later: counts by reason and the health of a peer in metrics.
scenario {
  name = "a session that is out of step is repaired with its peer, and the device stays linked",
  tags = { "signal", "retries", "FB-070" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "Bad MAC", "Failed to decrypt message with any known session", "works for sending only" },
}
local phone  = server:phone { number = "15550100001" }
local peers  = {}
for i = 1, mode == "sim" and 20 or 5 do peers[i] = server:phone { number = "155501001" .. (10 + i) } end
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
for _, peer in ipairs(peers) do
  local id = peer:send(phone, "before")
  device:await_message { id = id, within = "20s" }
  device:await_sent(device:send(peer, "hello"))
end
local credentials = device.credentials
local spoilt = server:fault {
  fault = "corrupt_enc", args = { part = "mac" }, budget = 1,
  where = { device = device, direction = "to_client", stanza = { tag = "message" } },
}
local id = peers[1]:send(phone, "the one that is spoilt")
device:await_message { id = id, text = "the one that is spoilt", within = mode == "sim" and "30s" or "4m" }  -- Baileys 6: 5 s
expect(spoilt.fired):equals(1)
local retries = #server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry" } })
expect(retries):at_least(1)
expect(retries):at_most(2)
for _, peer in ipairs(peers) do
  local after = peer:send(phone, "after")
  device:await_message { id = after, within = "20s" }
end
expect(#server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry" } })):equals(retries)
expect(device.credentials):equals(credentials)
expect(device.states[#device.states]):equals("connected")
expect.never(device, "disconnected")
expect.never(device, "logged_out")
