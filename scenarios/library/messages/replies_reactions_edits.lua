-- What is said about a message names it: replies, reactions (and taking them back), edits, revokes; and the
-- kinds that stand alone.
scenario {
  name = "replies, reactions, edits and revokes name the message that they are about",
  tags = { "messages" },
  loopback_scale = 1/20,
  needs = { "send" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"

device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })

local question = other:send(phone, "are you open?")
device:await_message { id = question, within = "20s" }
local from_device = {
  { text = "until six", reply_to = question },
  { reaction = { id = question, emoji = "👍" } },
  { reaction = { id = question, emoji = "" } },
}
for _, what in ipairs(from_device) do
  device:await_sent(device:send(other, what))
  local read = other:await_message { from = device, about = question, within = "20s" }
  expect(read.kind):equals(what.text and "text" or "reaction")
  expect(read.text or ""):equals(what.text or what.reaction.emoji)
end

local said = device:send(other, "untli seven")
device:await_sent(said)
other:await_message { id = said, within = "20s" }
device:await_sent(device:send(other, { edit = { id = said, text = "until seven" } }))
expect(other:await_message { kind = "edit", about = said, within = "20s" }.text):equals("until seven")
device:await_sent(device:send(other, { revoke = said }))
other:await_message { kind = "revoke", about = said, within = "20s" }

local vcard = "BEGIN:VCARD\nVERSION:3.0\nFN:Ann\nTEL:+15550100003\nEND:VCARD"
device:await_sent(device:send(other, { contact = { name = "Ann", vcard = vcard } }))
expect(other:await_message { kind = "contact", within = "20s" }.text):equals("Ann")
device:await_sent(device:send(other, { location = { latitude = 52.5, longitude = 13.4, name = "the shop" } }))
expect(other:await_message { kind = "location", within = "20s" }.text):equals("the shop")

other:send(phone, { text = "thanks", reply_to = said.id })
expect(device:await_message { from = other, about = said, within = "20s" }.text):equals("thanks")
other:send(phone, { reaction = { id = said.id, emoji = "🎉" } })
expect(device:await_message { kind = "reaction", about = said, within = "20s" }.text):equals("🎉")
other:send(phone, { edit = { id = question, text = "are you open today?" } })
expect(device:await_message { kind = "edit", about = question, within = "20s" }.text):equals("are you open today?")
other:send(phone, { revoke = question })
device:await_message { kind = "revoke", about = question, within = "20s" }
