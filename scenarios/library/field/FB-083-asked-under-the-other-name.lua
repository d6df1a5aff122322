-- FB-083: a message went to a number, and the retry comes from the LID of the same account (or the reverse): nobody is found
-- under that name, and the message is never sent again. Here an account is one, under whichever name.
scenario {
  name = "a retry under the other name of the account is answered",
  tags = { "retries", "lid", "FB-083" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "recv retry for not existing message", "Waiting for this message" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })

local number = other.number .. "@s.whatsapp.net"
-- The number first: asking for its devices tells the LID; who has only a LID never learns the number by asking.
for _, names in ipairs { { number, other.lid }, { other.lid, number } } do
  local to, asks = table.unpack(names)
  local renamed = server:fault {
    fault = "mutate", args = { attr = "from", value = asks },
    where = { device = device, direction = "to_client", stanza = { tag = "receipt", type = "retry", from = to } },
  }
  -- His copy, and not that of the own phone, which names no sender.
  local spoilt = server:fault {
    fault = "retry_receipt", args = { count = 1 }, budget = 1,
    where = { device = device, stanza = { tag = "message", sender_pn = phone.number .. "@s.whatsapp.net" } },
  }
  local sent = device:send { to = to, text = "to " .. to }
  local read = other:await_message { id = sent, within = "30s" }
  expect(read.text):equals("to " .. to)
  expect(spoilt.fired):equals(1)
  expect(renamed.fired):at_least(1)
  renamed:remove()
  spoilt:remove()
end
