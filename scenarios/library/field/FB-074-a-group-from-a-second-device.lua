-- FB-074: a group message comes from a peer's companion under its LID, with the number beside it, and the client looks for
-- the session of another attribute, or of device 0: "no session found". Here names and device come from the stanza as it is.
-- Direct messages: FB-074-a-companion-under-its-lid.lua.
scenario {
  name = "a group message from a peer's companion is read the first time, by LID and by number",
  tags = { "signal", "groups", "lid", "FB-074" },
  loopback_scale = 1/20,
  needs = { "send", "groups" },
  symptom = { "no session found", "No session found to decrypt message" },
}
local phone = server:phone { number = "15550100001" }
local other = server:phone { number = "15550100002" }
local shop  = engine:device "shop-1"
local desks = { engine:device "desk-1", engine:device "desk-2" }
shop:start()
phone:scan(shop:await_qr())
shop:await("connected", { within = "20s" })
for _, desk in ipairs(desks) do
  desk:start()
  other:scan(desk:await_qr { within = "20s" })
  desk:await("connected", { within = "20s" })
end
expect(desks[2].jid):contains(":2@")

for _, addressing in ipairs { "lid", "pn" } do
  local group = server:group { subject = addressing, participants = { phone, other }, addressing = addressing }
  for round = 1, 2 do
    for _, desk in ipairs(desks) do
      local sent = desk:send(group, desk.name .. " by " .. addressing .. " " .. round)
      local heard = shop:await_message { id = sent, chat = group, within = "20s" }
      expect(heard.from):contains("@" .. (addressing == "lid" and "lid" or "s.whatsapp.net"))
      desk:await_sent(sent, { within = "20s" })
    end
  end
end
local function retries(device)
  return #server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry" } })
end
for _, device in ipairs { shop, desks[1], desks[2] } do expect(retries(device)):equals(0) end
expect(#shop.undecryptable):equals(0)
