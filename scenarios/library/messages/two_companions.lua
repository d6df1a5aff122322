-- Two companions of one account: what comes, comes to both; what one of them or the phone sends, the others see.
scenario {
  name = "companions of one account see what comes, and each other's messages",
  tags = { "messages", "companions" },
  loopback_scale = 1/20,
  needs = { "send" },
}
local phone = server:phone { number = "15550100001" }
local other = server:phone { number = "15550100002" }
local shop  = engine:device "shop-1"
local desk  = engine:device "shop-2"

for _, device in ipairs { shop, desk } do
  device:start()
  phone:scan(device:await_qr { within = "20s" })
  device:await("connected", { within = "20s" })
end

local id = other:send(phone, "hello, all of you")
for _, device in ipairs { shop, desk } do
  local message = device:await_message { id = id, from = other, within = "20s" }
  expect(message.from_me):differs(true)
end

local sent = shop:send(other, "hello from the shop")
shop:await_sent(sent)
other:await_message { id = sent, within = "20s" }
local copy = desk:await_message { id = sent, from_me = true, within = "20s" }
expect(copy.text):equals("hello from the shop")
phone:await_message { id = sent, from_me = true, within = "20s" }

local own = phone:send(other, "hello from the phone")
other:await_message { id = own, within = "20s" }
for _, device in ipairs { shop, desk } do
  device:await_message { id = own, from_me = true, text = "hello from the phone", within = "20s" }
end
expect(#shop.inbox):equals(2)          -- what it has sent itself is no news
expect(#desk.inbox):equals(3)
