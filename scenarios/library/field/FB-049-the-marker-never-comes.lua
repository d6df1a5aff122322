-- FB-049: connected, and no message event for hours: the client waits for the marker that ends what was kept for it, and
-- the marker never comes.
scenario {
  name = "messages are told though the end of the offline ones is never announced",
  tags = { "messages", "offline", "FB-049" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "connected but no messages", "no messages.upsert", "messages stop after reconnect" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
server:fault { fault = "drop", where = { device = device, direction = "to_client", stanza = { tag = "ib", child = "offline" } } }
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "30s" })
for i = 1, 5 do
  device:await_message { id = other:send(phone, "text " .. i), within = "30s" }
end
expect(#device.inbox):equals(5)
