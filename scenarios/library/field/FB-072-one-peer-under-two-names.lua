-- FB-072: since contacts have a LID beside their number, messages of one peer come under both at once. A client that
-- locks by the name on the stanza works on one session in two lanes: "Bad MAC", "No session", for good. Here an account
-- has one lane and one session, whatever it is called. FB-073 is the same peer over time.
scenario {
  name = "messages of one peer under its number and its LID at once are all read, in order",
  tags = { "messages", "lid", "FB-072" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "Bad MAC", "No session record", "SessionError: No session record", "Bad MAC since LID migration" },
}
local kMany  = mode == "sim" and 500 or 100
local phone  = server:phone { number = "15550100001" }
local peer   = server:phone { number = "15550100002" }
local other  = server:phone { number = "15550100003" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" }, { within = "1m" })
device:await("connected", { within = "1m" })
device:await_message { id = other:send(phone, "somebody else"), within = "20s" }

-- Every second message of it names its author by the number, with the LID beside it: also the very first ones.
local mixed = server:fault {
  fault = "lid", args = { kind = "other" }, when = { every = 2 },
  where = { device = device, direction = "to_client", stanza = { tag = "message" } },
}
local ids, answers = {}, {}
parallel(
  function() for i = 1, kMany do ids[i] = peer:send(phone, "text " .. i) end end,
  function() for i = 1, kMany / 50 do answers[i] = device:send(i % 2 == 0 and peer.number or peer, "answer " .. i) end end)
device:await_message { id = ids[kMany], within = "1m" }
for i = 1, #answers do
  device:await_sent(answers[i], { within = "20s" })
  peer:await_message { id = answers[i], text = "answer " .. i, within = "20s" }
end

local read = {}
for _, message in ipairs(device.inbox) do
  if message.text ~= "somebody else" then read[#read + 1] = message.text end
end
expect(#read):equals(kMany)
for i = 1, #read do
  if read[i] ~= "text " .. i then expect(read[i]):equals("text " .. i) break end
end
expect(mixed.fired):at_least(kMany / 2)
expect(#device.undecryptable):equals(0)
expect(#server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry" } })):equals(0)
expect(device.stored.session):equals(3)                -- own phone, the other one, and one for the peer
