-- FB-101: "sent" while the socket was dead, and pending for ever. Here a message stays under its id until the server has
-- it, over as many connections as it takes, or fails at its deadline.
scenario {
  name = "a message into a connection that died unseen is delivered after the reconnect, or fails",
  tags = { "messages", "network", "FB-101" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "PENDING forever", "message stuck in pending", "sent but not delivered", "status 0 ERROR" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
device:await_sent(device:send(other, "hello"))
local dead = server:fault { fault = "blackhole", where = { device = device }, when = { manual = true } }
dead:fire()
local sent = device:send(other, "into the dark")
device:await("connecting", { within = "3m" })          -- it has noticed
dead:heal()
device:await("connected", { within = "3m" })
device:await_sent(sent, { within = "2m" })
expect(other:await_message { id = sent, within = "20s" }.text):equals("into the dark")
local count = 0
for _, message in ipairs(other.inbox) do
  if message.id == sent.id then count = count + 1 end
end
expect(count):equals(1)
