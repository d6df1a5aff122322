-- FB-074: a message of a contact's second device comes by LID; the client looks for its number in the attribute of
-- another family of stanzas, or at the session of device 0: "no session found". Here the other name of an author is in
-- `sender_…` for direct messages and in `participant_…` for groups, and the device is the one that wrote.
scenario {
  name = "a companion of a contact is read the first time, whichever name it writes under",
  tags = { "messages", "lid", "FB-074" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "no session found", "no session found for user", "LID message with participant_pn" },
}
local phone  = server:phone { number = "15550100001" }
local peer   = server:phone { number = "15550100002" }
local other  = server:phone { number = "15550100003" }
local device = engine:device "shop-1"
local desk   = engine.new("contact"):device "desk"
-- In every direct message the number of somebody else, under the name that it has in groups.
server:fault {
  fault = "mutate", args = { attr = "participant_pn", value = "15550100003@s.whatsapp.net" },
  where = { device = device, direction = "to_client", stanza = { tag = "message" } },
}
local by_number = server:fault {
  fault = "lid", args = { kind = "other" },
  where = { device = device, direction = "to_client", stanza = { tag = "message" } },
}
device:start()
phone:scan(device:await_qr { within = "1m" }, { within = "1m" })
desk:start()
peer:scan(desk:await_qr { within = "1m" }, { within = "1m" })
parallel(function() device:await("connected", { within = "1m" }) end,
         function() desk:await("connected", { within = "1m" }) end)
device:await_message { id = other:send(phone, "somebody else"), within = "20s" }

local chat
local function talk(name)
  for i = 1, 3 do
    local text = name .. " " .. i
    local from_phone = device:await_message { id = peer:send(phone, text), text = text, within = "20s" }
    local sent       = desk:send(phone, text)
    local from_desk  = device:await_message { id = sent, text = text, within = "20s" }
    desk:await_sent(sent, { within = "20s" })
    expect(from_phone.from:match(":(%d+)@")):is_nil()
    expect(from_desk.from:match(":(%d+)@")):equals(desk.jid:match(":(%d+)@"))
    expect(from_desk.chat):equals(from_phone.chat)
  end
end
talk("by number")
by_number:remove()
talk("by LID")
expect(#device.inbox):equals(13)
expect(#device.undecryptable):equals(0)
expect(#server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry" } })):equals(0)
expect(device.stored.session):equals(4)                -- own phone, the other one, one for each device of the contact
