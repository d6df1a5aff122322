-- Who wrote a message is told that it came, and that it was read; both ways.
scenario {
  name = "receipts say that a message was delivered, then that it was read",
  tags = { "messages", "receipts" },
  loopback_scale = 1/20,
  needs = { "send", "read" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"

device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })

local sent = device:send(other, "hello")
device:await_sent(sent)
device:await_receipt { id = sent, kind = "delivered", from = other, within = "20s" }
other:read(sent.id)
device:await_receipt { id = sent, kind = "read", from = other, within = "20s" }

local id = other:send(phone, "hello yourself")
local message = device:await_message { id = id, within = "20s" }
other:await_receipt { id = id, kind = "delivered", from = device, within = "20s" }
for _, receipt in ipairs(other.messages) do
  if receipt.id == id then
    for _, word in pairs(receipt.receipts) do expect(word):differs("read") end   -- nobody has read it yet
  end
end
device:read(message)
other:await_receipt { id = id, kind = "read", from = device, within = "20s" }
