-- The first conversation of a device: it writes to somebody whom it has never met, and is answered. Two receipts
-- come for its message, the confirmation of its own phone and that of its friend, and each wants its own ack.
scenario {
  name = "a text and its answer",
  tags = { "messages" },
}
local phone  = server:phone { number = "15550100001" }
local friend = server:phone { number = "15550100002" }
local device = engine:device "shop-1"

device:start()
phone:scan(device:await_qr { within = "5s" })
device:await("connected", { within = "10s" })

local sent = device:send(friend, "hello")
device:await_sent(sent, { within = "10s" })
friend:await_message { text = "hello", within = "10s" }
friend:send(phone, "hi there")
device:await_message { text = "hi there", within = "10s" }
expect.never(device, "disconnected")
