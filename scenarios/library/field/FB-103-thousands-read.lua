-- FB-103: one receipt with thousands of ids, and the server ends the stream. Here they go in chunks of 256.
scenario {
  name = "thousands of messages that are read at once are told of in chunks",
  tags = { "messages", "receipts", "FB-103" },
  modes = { "sim" },
  modes_reason = "5,000 messages, one after the other",
  needs = { "send", "read" },
  symptom = { "disconnect when marking messages read", "readMessages disconnects" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
local kMany  = 5000
device:start()
phone:scan(device:await_qr())
device:await("connected")
local ids = {}
for i = 1, kMany do ids[i] = other:send(phone, "text") end
device:await_message { id = ids[kMany], within = "10m" }
expect(#device.inbox):equals(kMany)
local connects = device.connects
device:read { chat = other, ids = ids }
other:await_receipt { id = ids[kMany], kind = "read", within = "1m" }
local receipts = #server:history("stanza_in", { device = device, data = { tag = "receipt", type = "read" } })
expect(receipts):equals(math.ceil(kMany / 256))
expect(device.connects):equals(connects)
